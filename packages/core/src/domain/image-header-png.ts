import { LivegateError } from './errors.js';
import type { ImageSize } from './image-rules.js';

/** The size of a PNG: it must open with its IHDR chunk. Throws `invalid_image`. */
export function readPngSize(png: Uint8Array): ImageSize {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  if (png.length < HEADER_END || view.getUint32(8) !== 13 || view.getUint32(12) !== IHDR) {
    throw new LivegateError('invalid_image', { detail: 'a PNG that does not open with IHDR' });
  }
  const size = { width: view.getUint32(16), height: view.getUint32(20) };
  if (size.width > 0 && size.height > 0) return size;
  throw new LivegateError('invalid_image', { detail: 'a PNG without pixels' });
}

/** The signature, then a chunk of 13 bytes with its length, type and checksum. */
const HEADER_END = 8 + 12 + 13;
const IHDR = 0x49484452;
