import type { Lease, Leases } from '@livegate/core';

/** Bounds how many messages are on their way to one receiver at once. */
export interface ReceiverSlots {
  /** `undefined` when all are taken. */
  enter(receiver: string): Lease | undefined;
  /** Calls `wake` once a slot is free: for who leaves, one who waits is woken. */
  awaitSlot(receiver: string, id: string, wake: () => void): void;
}

export function createReceiverSlots(perReceiver: number, leases: Leases): ReceiverSlots {
  const taken = new Map<string, number>();
  const waiting = new Map<string, Map<string, () => void>>();
  const countOf = (receiver: string) => taken.get(receiver) ?? 0;

  return {
    enter(receiver) {
      if (countOf(receiver) >= perReceiver) return undefined;
      taken.set(receiver, countOf(receiver) + 1);
      return leases.take('receiver_slot', () => leave(receiver));
    },
    awaitSlot(receiver, id, wake) {
      const waiters = waiting.get(receiver) ?? new Map<string, () => void>();
      waiting.set(receiver, waiters.set(id, wake));
      // One may have become free since the last look.
      if (countOf(receiver) < perReceiver) wakeNext(receiver);
    },
  };

  function leave(receiver: string): void {
    const remaining = countOf(receiver) - 1;
    if (remaining > 0) taken.set(receiver, remaining);
    else taken.delete(receiver);
    wakeNext(receiver);
  }

  function wakeNext(receiver: string): void {
    const waiters = waiting.get(receiver);
    const [next] = waiters ?? [];
    if (!waiters || !next) return;
    const [id, wake] = next;
    waiters.delete(id);
    if (waiters.size === 0) waiting.delete(receiver);
    wake();
  }
}
