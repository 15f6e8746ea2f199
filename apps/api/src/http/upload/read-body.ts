import type { Readable } from 'node:stream';
import { createGunzip, createInflate } from 'node:zlib';
import { LivegateError } from '@livegate/core/domain';
import type { Request, Response } from 'express';

export interface Upload {
  image: Uint8Array;
  /** The text fields that the route reads, as the caller wrote them; of equal names the last. */
  fields: Record<string, string>;
}

export type ReadUpload = (req: Request, res: Response) => Promise<Upload>;

export interface BodyRules {
  maxBytes: number;
  /** Makes the error for a longer body: its stack trace would cost every request. */
  tooLong: () => Error;
  /** Aborts when the response ends; no more of the body arrives after that. */
  closed: AbortSignal;
}

export interface BodyLimit extends Disposable {
  /** Rejects as soon as the body cannot be read to its end; never resolves. */
  failed: Promise<never>;
}

/**
 * Stops reading a body that is too long or whose response has ended, and discards the rest. Parsers
 * are not relied on: some report their own limits only after the last byte, and some wait forever on
 * a broken connection.
 */
export function limitBody(req: Request, { maxBytes, tooLong, closed }: BodyRules): BodyLimit {
  let received = 0;
  let reject!: (error: unknown) => void;
  const failed = new Promise<never>((_resolve, fail) => (reject = fail));
  req.on('data', count);
  closed.addEventListener('abort', stopOnClose);
  return {
    failed,
    // A remaining listener would keep `failed` in memory, and with it the race and the image.
    [Symbol.dispose]() {
      req.off('data', count);
      closed.removeEventListener('abort', stopOnClose);
    },
  };

  function count(chunk: Buffer): void {
    received += chunk.length;
    if (received > maxBytes) stop(tooLong());
  }

  function stopOnClose(): void {
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
 * Both decode within a window of 32 KB. Brotli is not supported: 150 bytes make its decoder allocate
 * 17 MB, which no upload permit covers.
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
 * The decompressed body, for an encoding that `requireContentEncoding` accepts. The stream fails with
 * `tooLarge` after `maxBytes` of output: a compressed body may be a thousand times shorter.
 */
export function decompress(req: Request, maxBytes: number, tooLarge: () => Error): Readable {
  const decompressor = decompressors.get(contentEncodingOf(req))?.();
  if (!decompressor) return req;
  // It may still fail after its reader stopped listening, and an unhandled 'error' ends the process.
  decompressor.on('error', () => undefined);
  let bytes = 0;
  decompressor.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxBytes) decompressor.destroy(tooLarge());
  });
  req.pipe(decompressor);
  return decompressor;
}

function contentEncodingOf(req: Request): string {
  return (req.get('content-encoding') || 'identity').toLowerCase();
}

/**
 * Appends pieces to one buffer of the most bytes that may come. Those that do not come cost no memory:
 * the system provides pages only as they are written.
 */
export function createByteCollector(maxBytes: number) {
  const buffer = Buffer.allocUnsafeSlow(maxBytes);
  let length = 0;

  return {
    add(piece: Uint8Array): void {
      buffer.set(piece, length);
      length += piece.length;
    },
    /** A view, which keeps the whole buffer. */
    take: (): Buffer => buffer.subarray(0, length),
  };
}
