import { LivegateError } from './errors.js';
import type { ImageSize } from './image-rules.js';

/** A progressive photo has about ten; each is a pass over all blocks, however few its bytes are. */
const MAX_SCANS = 100;
/** Colour profiles and depth maps take up to some 250; the decoder allocates for each. */
const MAX_SEGMENTS = 1000;

/**
 * The size of a JPEG, found by walking from marker to marker to its end.
 *
 * Skips what the decoder skips: padding and garbage between segments. So it misses no scan that the
 * decoder would run. Throws `invalid_image`: no frame, no scan, a cut segment, or too many of them.
 */
export function readJpegSize(jpeg: Uint8Array): ImageSize {
  let size: ImageSize | undefined;
  let segments = 0;
  let scans = 0;
  for (let at = findMarker(jpeg, 2); at < jpeg.length && jpeg[at] !== EOI;) {
    if (++segments > MAX_SEGMENTS) throw tooMany(`${MAX_SEGMENTS} segments`);
    if (jpeg[at] === SOS && ++scans > MAX_SCANS) throw tooMany(`${MAX_SCANS} scans`);
    const end = segmentEnd(jpeg, at);
    if (isFrame(jpeg[at]!)) size ??= readFrame(jpeg, at);
    at = findMarker(jpeg, end);
  }
  if (size && scans > 0) return size;
  throw invalid('a JPEG without a picture');
}

const EOI = 0xd9;
const SOS = 0xda;

/**
 * The index of the next marker's code, the byte after its 0xFF; the file's length if none follows.
 *
 * A plain loop on purpose: `indexOf(0xff)` is slower by far on a file that is full of 0xFF.
 */
function findMarker(jpeg: Uint8Array, from: number): number {
  for (let at = from + 1; at < jpeg.length; at++) {
    if (jpeg[at - 1] === 0xff && opensSegment(jpeg[at]!)) return at;
  }
  return jpeg.length;
}

/** Not a stuffed 0x00, a reserved code, a restart inside a scan, a start of image, or padding. */
function opensSegment(code: number): boolean {
  return code >= 0xc0 && (code < 0xd0 || code > 0xd8) && code < 0xff;
}

/** A segment's length counts the two bytes that hold it, but not the marker. */
function segmentEnd(jpeg: Uint8Array, marker: number): number {
  const end = marker + 1 + Math.max(2, readUint16(jpeg, marker + 1));
  if (end > jpeg.length) throw invalid('a JPEG that ends inside a segment');
  return end;
}

/** SOF0 to SOF15, without the three of these codes that mean something else: DHT, JPG and DAC. */
function isFrame(code: number): boolean {
  return code >= 0xc0 && code <= 0xcf && code !== 0xc4 && code !== 0xc8 && code !== 0xcc;
}

/** A frame header: its length, the bits per sample, the height, the width. */
function readFrame(jpeg: Uint8Array, marker: number): ImageSize {
  const size = { width: readUint16(jpeg, marker + 6), height: readUint16(jpeg, marker + 4) };
  if (size.width > 0 && size.height > 0) return size;
  throw invalid('a JPEG without pixels');
}

/** Beyond the end of the file there are zeros. */
function readUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function invalid(detail: string): LivegateError {
  return new LivegateError('invalid_image', { detail });
}

/** Such a file may be valid; so the caller is told what is wrong with it. */
function tooMany(limit: string): LivegateError {
  const publicMessage = `the image is a JPEG of more than ${limit}`;
  return new LivegateError('invalid_image', { publicMessage });
}
