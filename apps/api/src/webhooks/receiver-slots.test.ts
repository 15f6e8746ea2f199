import { createLeases } from '@livegate/core';
import { describe, expect, it } from 'vitest';
import { createReceiverSlots } from './receiver-slots.js';

describe('the slots of a receiver', () => {
  it('are limited, and freed by leaving, for each receiver alone', () => {
    const slots = createReceiverSlots(2, createLeases());
    const slot = slots.enter('a');
    slots.enter('a');
    expect(slots.enter('a')).toBeUndefined();
    expect(slots.enter('b')).toBeDefined();
    slot?.release();
    expect(slots.enter('a')).toBeDefined();
  });

  it('wake who waits in order, one for each that leaves', () => {
    const slots = createReceiverSlots(1, createLeases());
    const woken: string[] = [];
    const slot = slots.enter('a');
    for (const id of ['first', 'second', 'first']) {
      slots.awaitSlot('a', id, () => void woken.push(id));
    }
    expect(woken).toEqual([]);
    slot?.release();
    expect(woken).toEqual(['first']);
    slots.enter('a')?.release();
    expect(woken).toEqual(['first', 'second']);
    slots.enter('a')?.release();
    expect(woken).toHaveLength(2);
  });

  it('wake at once who comes when one has just become free', () => {
    const slots = createReceiverSlots(1, createLeases());
    const woken: string[] = [];
    slots.enter('a')?.release();
    slots.awaitSlot('a', 'late', () => void woken.push('late'));
    expect(woken).toEqual(['late']);
  });
});
