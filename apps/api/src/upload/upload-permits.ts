import { type ImageLimits, type Lease, type Leases, LivegateError } from '@livegate/core/domain';

/** Memory that is set aside for one upload. */
export interface UploadPermit extends Lease {
  /** So much of it is needed from now on; the rest is for others. */
  shrinkTo(bytes: number): void;
}

/** Bounds the bytes of all the images that are between their callers and Redis. */
export interface UploadPermits {
  /** Now set aside for uploads. */
  readonly bytesInFlight: number;
  /** No more are set aside than these. */
  readonly maxBytesInFlight: number;
  /** Throws `overloaded` at once where that much is not free: nobody waits while holding a socket. */
  take(bytes: number): UploadPermit;
}

export function createUploadPermits(maxBytesInFlight: number, leases: Leases): UploadPermits {
  let bytesInFlight = 0;

  return {
    maxBytesInFlight,
    get bytesInFlight() {
      return bytesInFlight;
    },
    take(bytes) {
      if (bytesInFlight + bytes > maxBytesInFlight) {
        const detail = `${bytesInFlight} of ${maxBytesInFlight} upload bytes are in flight`;
        throw new LivegateError('overloaded', { detail });
      }
      let held = 0;
      const hold = (next: number) => {
        bytesInFlight += next - held;
        held = next;
      };
      hold(bytes);
      const lease = leases.take('upload_permit', () => hold(0));
      return { ...lease, shrinkTo: (fewer) => hold(Math.min(held, fewer)) };
    },
  };
}

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
