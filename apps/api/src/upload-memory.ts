import { LivegateError, type ImageLimits } from '@livegate/core';

/** Room in a request body for what surrounds the image: part headers, stray text fields, JSON. */
const ENVELOPE_BYTES = 64 * 1024;

/** How a request carries its image. */
export type UploadForm = 'json' | 'multipart';

/** The longest body that may hold an image of that size. */
export function maxBodyBytes(form: UploadForm, maxImageBytes: number): number {
  const bytes = form === 'json' ? Math.ceil(maxImageBytes / 3) * 4 : maxImageBytes;
  return bytes + ENVELOPE_BYTES;
}

/** `image_too_large`, for a body that cannot hold an acceptable image and little else. */
export function bodyTooLarge(form: UploadForm, { maxImageBytes }: ImageLimits): LivegateError {
  const maxBytes = maxBodyBytes(form, maxImageBytes);
  return new LivegateError('image_too_large', {
    publicMessage:
      `the request body has more than ${maxBytes} bytes, of which the image may have at most ` +
      `${maxImageBytes}`,
  });
}

/** What a body of that length becomes in memory: in JSON its text, and the image decoded from it. */
export function bytesInMemory(form: UploadForm, bodyBytes: number): number {
  return form === 'json' ? bodyBytes + Math.ceil((bodyBytes * 3) / 4) : bodyBytes;
}
