import { LivegateError } from '../errors.js';

/** The largest image that is accepted. */
export interface ImageLimits {
  /** Largest accepted file, in bytes. */
  maxImageBytes: number;
  /** Largest accepted picture, in pixels (width times height). */
  maxImagePixels: number;
}

/** The size of an image, in pixels. */
export interface ImageSize {
  width: number;
  height: number;
}

/** The work and memory of a decode, computed from the file's header and markers. */
export interface DecodeCost {
  /** Samples that a decoder visits: the sum over a JPEG's scans, or the bytes of a PNG's rows. */
  samples: number;
  /** Bytes that a decoder allocates in addition to the picture; 0 if it decodes row by row. */
  heldBytes: number;
}

/**
 * Most samples that the scans of a JPEG may visit. A photo of 52 megapixels in the ten scans that
 * libjpeg writes has 730 million, or 1250 million as CMYK. One sample takes a core 1.2 ns at most.
 */
const MAX_SAMPLES = 1_300_000_000;

/**
 * Most pixels on one side; no camera has as many. A decoder works row by row, so a picture that is
 * one pixel wide takes it half a minute within the limit on width times height.
 */
const MAX_SIDE = 20_000;

/** Throws `empty_image` or `image_too_large`. */
export function requireImageBytes(bytes: Uint8Array, limits: ImageLimits): void {
  if (bytes.length === 0) throw new LivegateError('empty_image');
  if (bytes.length > limits.maxImageBytes) throw imageTooLarge(limits);
}

/** Throws `image_dimensions_exceeded`: a tiny file can declare a picture that fills the memory. */
export function requireImagePixels({ width, height }: ImageSize, maxImagePixels: number): void {
  if (Math.max(width, height) > MAX_SIDE) {
    throw dimensionsExceeded(`a side of more than ${MAX_SIDE} pixels`, { width, height });
  }
  if (width * height > maxImagePixels) {
    throw dimensionsExceeded(`more than ${maxImagePixels} pixels`, { width, height });
  }
}

/** Throws the error of `tooCostly`. */
export function requireDecodeCost({ samples }: DecodeCost): void {
  if (samples > MAX_SAMPLES) throw tooCostly(`${samples} samples in its scans`);
}

/** `invalid_image` with a reason for the caller, because the image may be valid. */
export function tooCostly(detail: string): LivegateError {
  const publicMessage =
    'the image takes longer to decode than a photo does, send fewer pixels or a baseline JPEG';
  return new LivegateError('invalid_image', { publicMessage, detail });
}

/** `image_too_large`, with the limit in its message. */
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
