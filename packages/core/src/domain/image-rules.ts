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
