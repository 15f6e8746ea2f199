import { LivegateError } from './errors.js';
import { readJpegHeader, type JpegHeader } from './image-header-jpeg.js';
import { readPngHeader, type PngHeader } from './image-header-png.js';
import { requireDecodeCost, requireImagePixels } from './image-rules.js';

/** The kinds of image that are accepted. */
export type ImageKind = ImageHeader['kind'];

/** What a file says of itself, before a single pixel is decoded. */
export type ImageHeader = JpegHeader | PngHeader;

/** The kind by the file's very first bytes, as the decoders tell it; `undefined` for others. */
export function imageKind(bytes: Uint8Array): ImageKind | undefined {
  if (startsWith(bytes, jpegSignature)) return 'jpeg';
  return startsWith(bytes, pngSignature) ? 'png' : undefined;
}

/**
 * Judges a JPEG or PNG without decoding it, in one pass over the bytes at most: no library that may
 * inflate or allocate what the file asks for.
 *
 * Throws `invalid_image` or `image_dimensions_exceeded`.
 */
export function inspectHeader(bytes: Uint8Array, maxImagePixels: number): ImageHeader {
  const kind = imageKind(bytes);
  if (!kind) throw new LivegateError('invalid_image', { detail: 'neither a JPEG nor a PNG' });
  const header = kind === 'jpeg' ? readJpegHeader(bytes) : readPngHeader(bytes);
  requireImagePixels(header, maxImagePixels);
  requireDecodeCost(header.cost);
  return header;
}

const jpegSignature = [0xff, 0xd8, 0xff];
const pngSignature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

function startsWith(bytes: Uint8Array, signature: number[]): boolean {
  return signature.every((byte, i) => bytes[i] === byte);
}
