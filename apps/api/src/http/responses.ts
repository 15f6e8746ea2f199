import type { ServerResponse } from 'node:http';

/**
 * Aborts once the response has ended: it was sent, or its connection closed. Perhaps that happened
 * before this call, when no 'close' event would tell any more.
 */
export function signalClose(res: ServerResponse): AbortSignal {
  const closed = new AbortController();
  if (res.destroyed) closed.abort();
  else res.once('close', () => closed.abort());
  return closed.signal;
}

/**
 * For a page: whatever its scripts try, it asks nobody but this gateway and is in nobody's frame.
 * `baseUri` says whether it may have a `<base>` of its own.
 */
export function pageHeaders(baseUri: 'none' | 'self') {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    `base-uri '${baseUri}'`,
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return { 'Content-Security-Policy': policy, 'Referrer-Policy': 'no-referrer' };
}
