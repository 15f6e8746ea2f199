import { type ImageLimits, type Lease, type Leases, LivegateError } from '@livegate/core/domain';

/** Memory reserved for one upload. */
export interface UploadPermit extends Lease {
  /** Reduces the reservation to this size; never increases it. */
  shrinkTo(bytes: number): void;
}

/** Limits the bytes of all images that are on their way from callers to Redis. */
export interface UploadPermits {
  /** Currently reserved. */
  readonly bytesInFlight: number;
  /** The most that can be reserved. */
  readonly maxBytesInFlight: number;
  /**
   * Throws `overloaded` at once if fewer bytes are free, because no request waits for memory, or if
   * the tenant would then hold more than remains free. Its first upload only has to fit.
   */
  take(bytes: number, tenant: string): UploadPermit;
}

/**
 * A tenant alone gets half of the memory, and n busy tenants get 1/(n+1) each, so that another one
 * always finds room (dynamic thresholds: Choudhury and Hahne, 1998, with alpha = 1).
 */
export function createUploadPermits(maxBytesInFlight: number, leases: Leases): UploadPermits {
  const heldByTenant = new Map<string, number>();
  let bytesInFlight = 0;

  return {
    maxBytesInFlight,
    get bytesInFlight() {
      return bytesInFlight;
    },
    take(bytes, tenant) {
      requireShare(bytes, tenant);
      let reserved = 0;
      const resize = (next: number) => {
        bytesInFlight += next - reserved;
        hold(tenant, heldBy(tenant) + next - reserved);
        reserved = next;
      };
      resize(bytes);
      const lease = leases.take('upload_permit', () => resize(0));
      return { ...lease, shrinkTo: (fewer) => resize(Math.min(reserved, fewer)) };
    },
  };

  function requireShare(bytes: number, tenant: string): void {
    const own = heldBy(tenant);
    const leftFree = maxBytesInFlight - bytesInFlight - bytes;
    if (leftFree >= (own === 0 ? 0 : own + bytes)) return;
    const detail =
      `${bytesInFlight} of ${maxBytesInFlight} upload bytes are in flight, ` +
      `${own} of them of this tenant`;
    throw new LivegateError('overloaded', { detail });
  }

  function heldBy(tenant: string): number {
    return heldByTenant.get(tenant) ?? 0;
  }

  function hold(tenant: string, bytes: number): void {
    if (bytes > 0) heldByTenant.set(tenant, bytes);
    else heldByTenant.delete(tenant);
  }
}

/** Allowance in a request body for what surrounds the image: part headers, stray text fields, JSON. */
const ENVELOPE_BYTES = 64 * 1024;

/** How a request carries its image. */
export type UploadForm = 'json' | 'multipart';

/** The longest body that an image of this size can need. */
export function maxBodyBytes(form: UploadForm, maxImageBytes: number): number {
  const bytes = form === 'json' ? Math.ceil(maxImageBytes / 3) * 4 : maxImageBytes;
  return bytes + ENVELOPE_BYTES;
}

/** `image_too_large`, for a body longer than `maxBodyBytes`. */
export function bodyTooLarge(form: UploadForm, { maxImageBytes }: ImageLimits): LivegateError {
  const maxBytes = maxBodyBytes(form, maxImageBytes);
  return new LivegateError('image_too_large', {
    publicMessage:
      `the request body has more than ${maxBytes} bytes, of which the image may have at most ` +
      `${maxImageBytes}`,
  });
}

/** The memory that a body of this length takes; for JSON its text and the decoded image. */
export function bytesInMemory(form: UploadForm, bodyBytes: number): number {
  return form === 'json' ? bodyBytes + Math.ceil((bodyBytes * 3) / 4) : bodyBytes;
}
