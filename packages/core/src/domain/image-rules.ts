import { LivegateError } from './errors.js';

/** What an image may measure at most. */
export interface ImageLimits {
  /** Largest accepted file, in bytes. */
  maxImageBytes: number;
  /** Largest accepted picture, in pixels (width times height). */
  maxImagePixels: number;
}

/** What a file's header says, before a single pixel is decoded. */
export interface ImageHeader {
  width: number;
  height: number;
}

/** Throws `empty_image` or `image_too_large`. */
export function requireImageBytes(bytes: Uint8Array, limits: ImageLimits): void {
  if (bytes.length === 0) throw new LivegateError('empty_image');
  if (bytes.length > limits.maxImageBytes) throw imageTooLarge(limits);
}

/** Throws `image_dimensions_exceeded`: a tiny file may claim a picture that fills the memory. */
export function requireImagePixels(header: ImageHeader, maxImagePixels: number): void {
  if (header.width * header.height <= maxImagePixels) return;
  throw new LivegateError('image_dimensions_exceeded', {
    publicMessage: `the image has more than ${maxImagePixels} pixels`,
    detail: `${header.width}x${header.height}`,
  });
}

/** `image_too_large`, telling the limit. */
export function imageTooLarge(limits: ImageLimits): LivegateError {
  return new LivegateError('image_too_large', {
    publicMessage: `the image has more than ${limits.maxImageBytes} bytes`,
  });
}
