import type { Request } from 'express';

export interface BodyRules {
  maxBytes: number;
  /** What a longer body is. */
  tooLong: Error;
  /** Aborts when the response ends: the rest of the body will never come. */
  closed: AbortSignal;
}

export interface BodyLimit extends Disposable {
  /** Rejects as soon as the body cannot be read to its end; never resolves. */
  failed: Promise<never>;
}

/**
 * Ends the reading of a body that is too long, or whose response has ended, whatever its parser makes
 * of it: a parser's own limits answer only after the last byte, and a connection that breaks leaves
 * some parsers waiting forever. The rest is let through unread, to nowhere.
 */
export function limitBody(req: Request, { maxBytes, tooLong, closed }: BodyRules): BodyLimit {
  let received = 0;
  let reject!: (error: unknown) => void;
  const failed = new Promise<never>((_resolve, fail) => (reject = fail));
  req.on('data', count);
  closed.addEventListener('abort', breakOff);
  return {
    failed,
    // A listener left behind would keep the race that it takes part in, and so the image.
    [Symbol.dispose]() {
      req.off('data', count);
      closed.removeEventListener('abort', breakOff);
    },
  };

  function count(chunk: Buffer): void {
    received += chunk.length;
    if (received > maxBytes) stop(tooLong);
  }

  function breakOff(): void {
    stop(closed.reason);
  }

  function stop(error: unknown): void {
    req.unpipe();
    req.removeAllListeners('data');
    req.resume();
    reject(error);
  }
}
