/** The resources that a request or a webhook delivery may hold. */
export const leaseKinds = [
  'admission_place',
  'attachment',
  'console_stream',
  'parser',
  'receiver_slot',
  'reply_waiter',
  'upload_permit',
] as const;

export type LeaseKind = (typeof leaseKinds)[number];

/** A resource held until `release`, which is idempotent. A `using` declaration calls it. */
export interface Lease extends Disposable {
  release(): void;
}

/** Counts the leases of one process. */
export interface Leases {
  /** `onRelease` runs once, on the first `release`. */
  take(kind: LeaseKind, onRelease?: () => void): Lease;
  /** The number of leases held now, by kind. */
  held(): Record<LeaseKind, number>;
}

export function createLeases(): Leases {
  const held = Object.fromEntries(leaseKinds.map((kind) => [kind, 0])) as Record<LeaseKind, number>;

  return {
    take(kind, onRelease) {
      let isHeld = true;
      held[kind] += 1;
      const release = () => {
        if (!isHeld) return;
        isHeld = false;
        held[kind] -= 1;
        onRelease?.();
      };
      return { release, [Symbol.dispose]: release };
    },
    held: () => ({ ...held }),
  };
}
