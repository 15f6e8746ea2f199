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
