import { LivegateError } from './errors.js';

/** What an image may measure at most. */
export interface ImageLimits {
  /** Largest accepted file, in bytes. */
  maxImageBytes: number;
  /** Largest accepted picture, in pixels (width times height). */
  maxImagePixels: number;
}

/** What an image measures, in pixels. */
export interface ImageSize {
  width: number;
  height: number;
}

/** What the decoding of an image takes, by its header and markers alone. */
export interface DecodeCost {
  /** Samples that a decoder visits: of a JPEG in all its scans, of a PNG its bytes. */
  samples: number;
  /** Bytes that a decoder holds beside the picture; 0 where it has a row at a time. */
  heldBytes: number;
}

/**
 * Samples of a JPEG that its scans may visit. A 52 megapixel photo has 730 million in the ten scans
 * that libjpeg makes of it, and 1250 million as CMYK. They take a core at most 1.2 ns each.
 */
const MAX_SAMPLES = 1_300_000_000;

/**
 * Pixels on one side at most. No camera comes near; but a decoder works row by row, so that a
 * picture one pixel wide keeps it busy for half a minute within any limit on the pixels.
 */
const MAX_SIDE = 20_000;

/** Throws `empty_image` or `image_too_large`. */
export function requireImageBytes(bytes: Uint8Array, limits: ImageLimits): void {
  if (bytes.length === 0) throw new LivegateError('empty_image');
  if (bytes.length > limits.maxImageBytes) throw imageTooLarge(limits);
}

/** Throws `image_dimensions_exceeded`: a tiny file may claim a picture that fills the memory. */
export function requireImagePixels({ width, height }: ImageSize, maxImagePixels: number): void {
  if (Math.max(width, height) > MAX_SIDE) {
    throw dimensionsExceeded(`a side of more than ${MAX_SIDE} pixels`, { width, height });
  }
  if (width * height > maxImagePixels) {
    throw dimensionsExceeded(`more than ${maxImagePixels} pixels`, { width, height });
  }
}

/** Throws what `tooCostly` makes. */
export function requireDecodeCost({ samples }: DecodeCost): void {
  if (samples > MAX_SAMPLES) throw tooCostly(`${samples} samples in its scans`);
}

/** `invalid_image`, saying why: the image may be valid. */
export function tooCostly(detail: string): LivegateError {
  const publicMessage =
    'the image takes longer to decode than a photo does, send fewer pixels or a baseline JPEG';
  return new LivegateError('invalid_image', { publicMessage, detail });
}

/** `image_too_large`, telling the limit. */
export function imageTooLarge(limits: ImageLimits): LivegateError {
  return new LivegateError('image_too_large', {
    publicMessage: `the image has more than ${limits.maxImageBytes} bytes`,
  });
}

function dimensionsExceeded(excess: string, { width, height }: ImageSize): LivegateError {
  return new LivegateError('image_dimensions_exceeded', {
    publicMessage: `the image has ${excess}`,
    detail: `${width}x${height}`,
  });
}
