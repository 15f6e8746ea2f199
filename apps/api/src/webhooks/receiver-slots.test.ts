import { createLeases, type Lease } from '@livegate/core/domain';
import { describe, expect, it } from 'vitest';
import { createReceiverSlots, type SlotRequest } from './receiver-slots.js';

const to = (receiver: string, id = 'a', tenant = 'acme'): SlotRequest => ({ id, tenant, receiver });

/** Takes slots for messages of one tenant, each to another receiver, until none is free. */
function fill(slots: ReturnType<typeof createReceiverSlots>, tenant: string) {
  const held: Lease[] = [];
  for (;;) {
    const slot = slots.take(to(`${tenant}-${held.length}`, 'x', tenant));
    if (!slot) return held;
    held.push(slot);
  }
}

describe('the slots of a receiver', () => {
  it('are limited for each receiver on its own, and free again after a release', () => {
    const slots = createReceiverSlots({ total: 64, perReceiver: 2, leases: createLeases() });
    const slot = slots.take(to('a'));
    slots.take(to('a'));
    expect(slots.take(to('a'))).toBeUndefined();
    expect(slots.take(to('b'))).toBeDefined();
    slot?.release();
    expect(slots.take(to('a'))).toBeDefined();
  });

  it('wake waiters in order, one per release', () => {
    const slots = createReceiverSlots({ total: 64, perReceiver: 1, leases: createLeases() });
    const woken: string[] = [];
    const slot = slots.take(to('a'));
    for (const id of ['first', 'second', 'first']) {
      slots.awaitSlot(to('a', id), () => void woken.push(id));
    }
    expect(woken).toEqual([]);
    slot?.release();
    expect(woken).toEqual(['first']);
    slots.take(to('a'))?.release();
    expect(woken).toEqual(['first', 'second']);
    slots.take(to('a'))?.release();
    expect(woken).toHaveLength(2);
  });

  it('wake only a waiter whose receiver has a free slot', () => {
    const leases = createLeases();
    const slots = createReceiverSlots({ total: 64, perReceiver: 1, leases });
    const woken: string[] = [];
    slots.take(to('a'));
    const slot = slots.take(to('b'));
    expect(leases.held().receiver_slot).toBe(2);
    for (const receiver of ['a', 'b']) {
      slots.awaitSlot(to(receiver), () => void woken.push(receiver));
    }
    slot?.release();
    expect(woken).toEqual(['b']);
    expect(leases.held().receiver_slot).toBe(1);
  });

  it('wake a waiter at once if a slot became free before it waited', () => {
    const slots = createReceiverSlots({ total: 64, perReceiver: 1, leases: createLeases() });
    const woken: string[] = [];
    slots.take(to('a'))?.release();
    slots.awaitSlot(to('a', 'late'), () => void woken.push('late'));
    expect(woken).toEqual(['late']);
  });
});

describe('the slots of a tenant', () => {
  it('are a fifth of all for a single busy tenant, however many receivers it has', () => {
    expect(
      fill(createReceiverSlots({ total: 100, perReceiver: 4, leases: createLeases() }), 'acme'),
    ).toHaveLength(20);
  });

  it('leave some free after twenty tenants have taken all they can get', () => {
    const slots = createReceiverSlots({ total: 256, perReceiver: 4, leases: createLeases() });
    for (let n = 0; n < 21; n++) expect(fill(slots, `tenant-${n}`).length).toBeGreaterThan(0);
  });

  it('become fewer while another tenant holds some, and more after it releases them', () => {
    const slots = createReceiverSlots({ total: 100, perReceiver: 4, leases: createLeases() });
    const first = fill(slots, 'first');
    for (const slot of first.splice(10)) slot.release();
    const second = fill(slots, 'second');
    expect(second).toHaveLength(18);
    expect(fill(slots, 'first')).toHaveLength(7);
    for (const slot of second) slot.release();
    expect(fill(slots, 'first')).toHaveLength(3);
  });

  it('wake the tenants in turn, and their receivers in turn', () => {
    const slots = createReceiverSlots({ total: 10, perReceiver: 4, leases: createLeases() });
    const woken: string[] = [];
    const held = [...fill(slots, 'first'), ...fill(slots, 'second')];
    for (const [tenant, receiver] of [
      ['first', 'a'],
      ['first', 'a'],
      ['first', 'b'],
      ['second', 'c'],
    ]) {
      const id = `${woken.length}-${Math.random()}`;
      slots.awaitSlot(to(receiver!, id, tenant), () => void woken.push(receiver!));
    }
    while (held.length > 0) held.pop()?.release();
    slots.take(to('x', 'x', 'third'))?.release();
    expect(woken.toSorted()).toEqual(['a', 'a', 'b', 'c']);
    expect(woken.indexOf('c')).toBeLessThan(2);
    expect(woken.indexOf('b')).toBeLessThan(woken.lastIndexOf('a'));
  });

  it('are all free again once every message has released its slot', () => {
    const slots = createReceiverSlots({ total: 100, perReceiver: 4, leases: createLeases() });
    for (const slot of [...fill(slots, 'first'), ...fill(slots, 'second')]) slot.release();
    expect(fill(slots, 'third')).toHaveLength(20);
  });
});
