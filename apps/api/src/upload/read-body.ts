import type { Readable } from 'node:stream';
import { createGunzip, createInflate } from 'node:zlib';
import { LivegateError } from '@livegate/core/domain';
import type { Request, Response } from 'express';

export interface Upload {
  image: Uint8Array;
  /** Where this check is to be announced, as the caller wrote it. */
  webhookUrl?: string;
}

export type ReadUpload = (req: Request, res: Response) => Promise<Upload>;

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

/**
 * Both have a window of 32 KB. Brotli is not among them: 150 bytes make its decoder allocate 17 MB,
 * which no upload permit covers.
 */
const decompressors = new Map<string, () => Readable & NodeJS.WritableStream>([
  ['gzip', createGunzip],
  ['deflate', createInflate],
]);

/** Throws `unsupported_media_type` for a body in an encoding other than gzip and deflate. */
export function requireContentEncoding(req: Request): void {
  const encoding = contentEncodingOf(req);
  if (encoding === 'identity' || decompressors.has(encoding)) return;
  throw new LivegateError('unsupported_media_type', {
    publicMessage: 'send the body uncompressed, or with Content-Encoding: gzip or deflate',
  });
}

export function isCompressed(req: Request): boolean {
  return contentEncodingOf(req) !== 'identity';
}

/**
 * The body as it was before it was compressed, in an encoding that `requireContentEncoding` accepts.
 * The stream fails with `tooLarge` after `maxBytes`: a thousandth of them may have been sent.
 */
export function decompress(req: Request, maxBytes: number, tooLarge: Error): Readable {
  const decompressor = decompressors.get(contentEncodingOf(req))?.();
  if (!decompressor) return req;
  // It may also fail when nobody reads it any more.
  decompressor.on('error', () => undefined);
  let bytes = 0;
  decompressor.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxBytes) decompressor.destroy(tooLarge);
  });
  req.pipe(decompressor);
  return decompressor;
}

function contentEncodingOf(req: Request): string {
  return (req.get('content-encoding') || 'identity').trim().toLowerCase();
}

const MIN_CAPACITY_BYTES = 64 * 1024;

/**
 * Puts pieces into one buffer as they come. Of the expected size, memory is used only as far as
 * bytes were written; where more come than that, the buffer doubles.
 */
export function createByteCollector(expectedBytes: number) {
  let buffer = Buffer.allocUnsafeSlow(Math.max(expectedBytes, MIN_CAPACITY_BYTES));
  let length = 0;

  return {
    add(piece: Uint8Array): void {
      const needed = length + piece.length;
      if (needed > buffer.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * buffer.length));
        larger.set(buffer.subarray(0, length));
        buffer = larger;
      }
      buffer.set(piece, length);
      length = needed;
    },
    /** A view: it keeps the whole buffer. */
    take: (): Buffer => buffer.subarray(0, length),
  };
}
