import type { Readable } from 'node:stream';
import { createGunzip, createInflate } from 'node:zlib';
import { LivegateError } from '@livegate/core';
import type { Request } from 'express';

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
