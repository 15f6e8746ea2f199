import type { ServerResponse } from 'node:http';

/** Shared: each request aborts its signals when it ends, and a reason of its own has a stack trace. */
const CLOSED = new DOMException('the response has ended', 'AbortError');

/**
 * Aborts once the response has been sent or its connection closed, even if that happened before this
 * call, after the 'close' event.
 */
export function signalClose(res: ServerResponse): AbortSignal {
  const closed = new AbortController();
  if (res.destroyed) closed.abort(CLOSED);
  else res.once('close', () => closed.abort(CLOSED));
  return closed.signal;
}

/**
 * Headers of an HTML page: it can load from this gateway only, and cannot be framed. `baseUri` says
 * whether the page may set a `<base>`.
 */
export function pageHeaders(baseUri: 'none' | 'self') {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    `base-uri '${baseUri}'`,
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return { 'Content-Security-Policy': policy, 'Referrer-Policy': 'no-referrer' };
}
