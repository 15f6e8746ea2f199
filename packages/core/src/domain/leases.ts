/** What a request or a delivery may hold while it goes on. */
export const leaseKinds = [
  'admission_place',
  'attachment',
  'parser',
  'receiver_slot',
  'reply_waiter',
  'upload_permit',
] as const;

export type LeaseKind = (typeof leaseKinds)[number];

/** Held until `release`, which is idempotent and which a `using` declaration calls. */
export interface Lease extends Disposable {
  release(): void;
}

/** Counts the leases of one process. */
export interface Leases {
  /** `onRelease` runs once, at the release. */
  take(kind: LeaseKind, onRelease?: () => void): Lease;
  /** How many of each kind are held now. */
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
