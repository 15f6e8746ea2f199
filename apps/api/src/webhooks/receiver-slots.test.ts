import { describe, expect, it } from 'vitest';
import { createReceiverSlots } from './receiver-slots.js';

describe('the slots of a receiver', () => {
  it('are limited, and freed by leaving, for each receiver alone', () => {
    const slots = createReceiverSlots(2);
    const leave = slots.enter('a');
    slots.enter('a');
    expect(slots.enter('a')).toBeUndefined();
    expect(slots.enter('b')).toBeDefined();
    leave?.();
    expect(slots.enter('a')).toBeDefined();
  });

  it('wake who waits in order, one for each that leaves', () => {
    const slots = createReceiverSlots(1);
    const woken: string[] = [];
    const leave = slots.enter('a');
    for (const id of ['first', 'second', 'first']) {
      slots.awaitSlot('a', id, () => void woken.push(id));
    }
    expect(woken).toEqual([]);
    leave?.();
    expect(woken).toEqual(['first']);
    slots.enter('a')?.();
    expect(woken).toEqual(['first', 'second']);
    slots.enter('a')?.();
    expect(woken).toHaveLength(2);
  });

  it('wake at once who comes when one has just become free', () => {
    const slots = createReceiverSlots(1);
    const woken: string[] = [];
    slots.enter('a')?.();
    slots.awaitSlot('a', 'late', () => void woken.push('late'));
    expect(woken).toEqual(['late']);
  });
});
