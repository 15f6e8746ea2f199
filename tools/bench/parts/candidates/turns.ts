/** What a tenant is about to do, in milliseconds or in any other unit. */
export interface Cost {
  tenant: string;
  cost: number;
  headStart: number;
}

/**
 * The order in which tenants take turns, by start tags (Goyal, Vin and Cheng, 1996): those with work
 * waiting get the same cost. With a cost of 1 for everything this is round robin.
 */
export function createTurns() {
  const tags = new Map<string, number>();
  let clock = 0;

  return {
    /** The place of the next work of a tenant; the lowest is next. */
    take({ tenant, cost, headStart }: Cost): number {
      const tag = Math.max(clock - headStart, tags.get(tenant) ?? 0);
      tags.set(tenant, tag + cost);
      return tag;
    },
    begun(tag: number): void {
      clock = Math.max(clock, tag);
    },
  };
}

interface Waiter {
  order: number;
  begin(): void;
}

/** Slots that go to the lowest order that waits, and among equals to the first. */
export function createSlots(slots: number) {
  const waiters: Waiter[] = [];
  let free = slots;

  return {
    /** Resolves to the release of the slot. */
    async take(order: number): Promise<() => void> {
      if (free > 0) free--;
      else await new Promise<void>((begin) => waiters.push({ order, begin }));
      return release;
    },
  };

  function release(): void {
    if (waiters.length === 0) return void free++;
    const next = waiters.reduce((first, one) => (one.order < first.order ? one : first));
    waiters.splice(waiters.indexOf(next), 1)[0]!.begin();
  }
}
