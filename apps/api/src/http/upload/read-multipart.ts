import { Busboy, type BusboyInstance } from '@fastify/busboy';
import { type ImageLimits, imageTooLarge, LivegateError } from '@livegate/core/domain';
import type { Request } from 'express';
import { MAX_WEBHOOK_URL_LENGTH } from '../../contract/webhooks.js';
import { createByteCollector, decompress, isCompressed } from './read-body.js';
import type { ReadUpload, Upload } from './read-body.js';
import { bodyTooLarge, maxBodyBytes } from './upload-permits.js';

/** As in Go and Django. A part takes 10 µs to parse: 10 MB of tiny parts would take seconds. */
const MAX_PARTS = 1000;

/** Reads the part `image`, with or without a filename, and the text fields of these names. */
export function createReadMultipart(
  limits: ImageLimits,
  fieldNames: readonly string[],
): ReadUpload {
  const maxBytes = maxBodyBytes('multipart', limits.maxImageBytes);

  return async (req) => {
    const parser = createParser(req, limits.maxImageBytes);
    const body = decompress(req, maxBytes, bodyTooLarge('multipart', limits));
    const fail = (error: Error) => parser.destroy(error);
    const failIfCut = () => req.readableEnded || fail(new Error('the request body was cut off'));
    body.on('error', fail);
    req.on('close', failIfCut);
    try {
      const upload = collectParts(parser, mostImageBytes(req, limits), { limits, fieldNames });
      body.pipe(parser);
      return await upload;
    } catch (error) {
      throw error instanceof LivegateError ? error : invalidMultipart(error);
    } finally {
      // The request lives on while its caller waits: it must not refer to the image any more. The rest
      // of its body is discarded.
      req.off('close', failIfCut).unpipe().resume();
      body.off('error', fail).unpipe();
    }
  };
}

/** Throws `invalid_multipart` for a type without a boundary. */
function createParser(req: Request, maxImageBytes: number): BusboyInstance {
  try {
    return new Busboy({
      headers: { ...req.headers, 'content-type': req.get('content-type') ?? '' },
      limits: { fileSize: maxImageBytes, parts: MAX_PARTS, fieldSize: MAX_WEBHOOK_URL_LENGTH + 1 },
      // As a text field, the image would be decoded by its part's charset, which changes its bytes.
      isPartAFile: (name) => name === 'image',
    });
  } catch (cause) {
    throw invalidMultipart(cause);
  }
}

/** The image is no longer than its body, unless the body is compressed. */
function mostImageBytes(req: Request, { maxImageBytes }: ImageLimits): number {
  const length = req.get('content-length');
  if (length === undefined || isCompressed(req)) return maxImageBytes;
  return Math.min(Number(length), maxImageBytes);
}

function collectParts(
  parser: BusboyInstance,
  maxBytes: number,
  { limits, fieldNames }: { limits: ImageLimits; fieldNames: readonly string[] },
): Promise<Upload> {
  return new Promise((resolve, reject) => {
    let image: ReturnType<typeof createByteCollector> | undefined;
    const fields: Record<string, string> = {};
    parser.on('file', (_name, file) => {
      // The parser fails as well, with the reason.
      file.on('error', () => undefined);
      // Rejected at its start, a second image takes no memory.
      if (image) return reject(new LivegateError('too_many_images'));
      image = createByteCollector(maxBytes);
      file.on('data', image.add);
      file.on('limit', () => reject(imageTooLarge(limits)));
    });
    parser.on('field', (name, value) => {
      if (fieldNames.includes(name) && value) fields[name] = value;
    });
    parser.on('partsLimit', () => reject(tooManyParts()));
    parser.on('error', reject);
    parser.on('finish', () => {
      if (!image) return reject(new LivegateError('missing_image'));
      resolve({ image: image.take(), fields });
    });
  });
}

function tooManyParts(): LivegateError {
  return new LivegateError('invalid_multipart', {
    publicMessage: `the request body has more than ${MAX_PARTS} parts`,
  });
}

function invalidMultipart(cause: unknown): LivegateError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new LivegateError('invalid_multipart', { detail, cause });
}
