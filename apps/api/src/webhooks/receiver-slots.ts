import type { Lease, Leases } from '@livegate/core/domain';

/** One message, by its id, on its way to a tenant's receiver. */
export interface SlotRequest {
  id: string;
  tenant: string;
  receiver: string;
}

export interface ReceiverSlotsOptions {
  /** How many messages are on their way at once. */
  total: number;
  /** Of those, to one receiver. */
  perReceiver: number;
  leases: Leases;
}

/**
 * Bounds how many messages are on their way at once: to one receiver, and of one tenant, which may take
 * another slot while it holds less than a quarter of those that are free. So one tenant alone gets a
 * fifth of all, several that take what they can get even shares, and some stay free for others.
 */
export interface ReceiverSlots {
  /** `undefined` where none is free for it. */
  enter(message: SlotRequest): Lease | undefined;
  /** Calls `wake` once a slot may be free for it. Each leave wakes one, the tenants in turn. */
  awaitSlot(message: SlotRequest, wake: () => void): void;
}

interface Waiter extends SlotRequest {
  wake: () => void;
}

export function createReceiverSlots(options: ReceiverSlotsOptions): ReceiverSlots {
  const { total, perReceiver, leases } = options;
  const byTenant = createCounts();
  const byReceiver = createCounts();
  let free = total;

  const mayEnter = ({ tenant, receiver }: SlotRequest) =>
    byTenant.of(tenant) < free / 4 && byReceiver.of(receiver) < perReceiver;
  const waiting = createWaitingList(mayEnter);
  const take = ({ tenant, receiver }: SlotRequest, count: number) => {
    byTenant.add(tenant, count);
    byReceiver.add(receiver, count);
    free -= count;
  };

  return {
    enter(message) {
      if (!mayEnter(message)) return undefined;
      take(message, 1);
      return leases.take('receiver_slot', () => {
        take(message, -1);
        waiting.wakeNext();
      });
    },
    awaitSlot(message, wake) {
      waiting.add({ ...message, wake });
      // One may have become free since the last look.
      if (mayEnter(message)) waiting.wakeNext();
    },
  };
}

/** By tenant and receiver, in order of arrival; those that were woken last come last. */
function createWaitingList(mayEnter: (message: SlotRequest) => boolean) {
  const tenants = new Map<string, Map<string, Map<string, Waiter>>>();

  return {
    add(waiter: Waiter): void {
      const { tenant, receiver, id } = waiter;
      const receivers = tenants.get(tenant) ?? new Map<string, Map<string, Waiter>>();
      const waiters = receivers.get(receiver) ?? new Map<string, Waiter>();
      tenants.set(tenant, receivers.set(receiver, waiters.set(id, waiter)));
    },
    wakeNext(): void {
      const next = findNext();
      if (!next) return;
      forget(next);
      next.wake();
    },
  };

  function findNext(): Waiter | undefined {
    for (const receivers of tenants.values()) {
      for (const waiters of receivers.values()) {
        const [first] = waiters.values();
        if (first && mayEnter(first)) return first;
      }
    }
    return undefined;
  }

  function forget({ tenant, receiver, id }: Waiter): void {
    const receivers = tenants.get(tenant);
    const waiters = receivers?.get(receiver);
    if (!receivers || !waiters) return;
    waiters.delete(id);
    receivers.delete(receiver);
    if (waiters.size > 0) receivers.set(receiver, waiters);
    tenants.delete(tenant);
    if (receivers.size > 0) tenants.set(tenant, receivers);
  }
}

/** Forgets a name that counts zero. */
function createCounts() {
  const counts = new Map<string, number>();
  const of = (name: string) => counts.get(name) ?? 0;
  return {
    of,
    add(name: string, count: number) {
      const sum = of(name) + count;
      if (sum > 0) counts.set(name, sum);
      else counts.delete(name);
    },
  };
}
