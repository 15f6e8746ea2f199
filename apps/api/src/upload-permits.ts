import { LivegateError, type Lease, type Leases } from '@livegate/core';

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
