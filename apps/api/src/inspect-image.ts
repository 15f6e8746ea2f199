import { LivegateError, requireImagePixels } from '@livegate/core';
import { fileTypeFromBuffer } from 'file-type';
import sharp from 'sharp';

/** Pictures that a caller may send by mistake; they are named in the refusal. */
const documentsAndPictures = /^image\/|^application\/pdf$/;
const accepted = new Set(['image/jpeg', 'image/png']);

/**
 * Decides by the bytes alone whether the image may be decoded at all. Reads the header only.
 *
 * Throws `invalid_image`, `unsupported_image_type` or `image_dimensions_exceeded`.
 */
export async function inspectImage(bytes: Uint8Array, maxImagePixels: number): Promise<void> {
  const kind = isSvg(bytes) ? 'image/svg+xml' : (await fileTypeFromBuffer(bytes))?.mime;
  if (!kind || !accepted.has(kind)) throw refuseKind(kind);
  requireImagePixels(await readHeader(bytes), maxImagePixels);
}

function refuseKind(kind = ''): LivegateError {
  if (!documentsAndPictures.test(kind)) return new LivegateError('invalid_image');
  return new LivegateError('unsupported_image_type', {
    publicMessage: `only JPEG and PNG images are supported, this is ${kind}`,
  });
}

async function readHeader(bytes: Uint8Array): Promise<{ width: number; height: number }> {
  try {
    return await sharp(bytes, { limitInputPixels: false }).metadata();
  } catch (error) {
    throw new LivegateError('invalid_image', { cause: error });
  }
}

/** SVG is text without magic bytes: markup whose root element comes soon. */
function isSvg(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.subarray(0, 1024)).toString().trimStart();
  return start.startsWith('<') && /<svg[\s>]/.test(start);
}
