import type { Lease, Leases } from '@livegate/core/domain';

/** A message that needs a slot to be sent to a receiver of its tenant. */
export interface SlotRequest {
  id: string;
  tenant: string;
  receiver: string;
}

export interface ReceiverSlotsOptions {
  /** The most messages that are sent at the same time. */
  total: number;
  /** The most messages that are sent to one receiver at the same time. */
  perReceiver: number;
  leases: Leases;
}

/**
 * Limits how many messages are sent at the same time: in total, to one receiver, and of one tenant. A
 * tenant may take another slot while it holds less than a quarter of the free ones. So a single tenant
 * gets at most a fifth of all slots, busy tenants get even shares, and some slots stay free for others.
 */
export interface ReceiverSlots {
  /** `undefined` if no slot is free for this message. */
  take(message: SlotRequest): Lease | undefined;
  /** Calls `wake` once a slot may be free. Each release wakes one waiter, the tenants in turn. */
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

  const mayTake = ({ tenant, receiver }: SlotRequest) =>
    byTenant.of(tenant) < free / 4 && byReceiver.of(receiver) < perReceiver;
  const waiting = createWaitingList(mayTake);
  const change = ({ tenant, receiver }: SlotRequest, taken: 1 | -1) => {
    byTenant.add(tenant, taken);
    byReceiver.add(receiver, taken);
    free -= taken;
  };

  return {
    take(message) {
      if (!mayTake(message)) return undefined;
      change(message, 1);
      return leases.take('receiver_slot', () => {
        change(message, -1);
        waiting.wakeNext();
      });
    },
    awaitSlot(message, wake) {
      waiting.add({ ...message, wake });
      // A slot may have been released since `take` returned none.
      if (mayTake(message)) waiting.wakeNext();
    },
  };
}

/** Waiters by tenant and receiver, in order; waking one moves its tenant and receiver to the end. */
function createWaitingList(mayTake: (message: SlotRequest) => boolean) {
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
      remove(next);
      next.wake();
    },
  };

  function findNext(): Waiter | undefined {
    for (const receivers of tenants.values()) {
      for (const waiters of receivers.values()) {
        const [first] = waiters.values();
        if (first && mayTake(first)) return first;
      }
    }
    return undefined;
  }

  function remove({ tenant, receiver, id }: Waiter): void {
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

/** Counts by name. Removes a name whose count is zero, so that names do not accumulate. */
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
