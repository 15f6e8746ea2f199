import type { Request } from 'express';

export interface BodyLimit {
  /** Rejects as soon as too many bytes have come; never resolves. */
  exceeded: Promise<never>;
  /** The body is read: forget about it. */
  lift(): void;
}

/**
 * Ends the reading of a body that is too long, whatever its parser makes of it: its own limits
 * answer only after the last byte. The rest is let through unread, to nowhere.
 */
export function limitBody(req: Request, maxBytes: number, error: Error): BodyLimit {
  let received = 0;
  const { promise: exceeded, reject } = withReject();
  req.on('data', count);
  // A listener left behind would keep the race that it takes part in, and so the image.
  return { exceeded, lift: () => req.off('data', count) };

  function count(chunk: Buffer): void {
    received += chunk.length;
    if (received <= maxBytes) return;
    req.unpipe();
    req.removeAllListeners('data');
    req.resume();
    reject(error);
  }
}

function withReject() {
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<never>((_resolve, rejectPromise) => (reject = rejectPromise));
  return { promise, reject };
}
