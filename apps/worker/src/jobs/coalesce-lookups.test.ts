import { describe, expect, it } from 'vitest';
import { coalesceLookups } from './coalesce-lookups.js';

/** Finds an id in capitals; each round trip ends when the test says so. */
function setUp() {
  const trips: { ids: string[]; end: () => void }[] = [];
  const lookUp = coalesceLookups(async (ids: string[]) => {
    await new Promise<void>((resolve) => trips.push({ ids, end: resolve }));
    if (ids.includes('down')) throw new Error('Redis is down');
    return ids.map((id) => (id === 'bad' ? new Error('bad id') : id.toUpperCase()));
  });
  const endTrip = async (index: number) => {
    trips[index]?.end();
    await new Promise(setImmediate);
  };
  return { trips, lookUp, endTrip };
}

const tick = () => new Promise(setImmediate);

describe('coalesceLookups', () => {
  it('sends the look-ups of one tick in one round trip', async () => {
    const { trips, lookUp, endTrip } = setUp();
    const found = Promise.all([lookUp('a'), lookUp('b')]);
    await tick();
    expect(trips.map(({ ids }) => ids)).toEqual([['a', 'b']]);
    await endTrip(0);
    expect(await found).toEqual(['A', 'B']);
  });

  it('sends what arrives during a round trip in the next one', async () => {
    const { trips, lookUp, endTrip } = setUp();
    const found = [lookUp('a')];
    await tick();
    found.push(lookUp('b'), lookUp('c'));
    await tick();
    expect(trips).toHaveLength(1);
    await endTrip(0);
    expect(trips.map(({ ids }) => ids)).toEqual([['a'], ['b', 'c']]);
    await endTrip(1);
    expect(await Promise.all(found)).toEqual(['A', 'B', 'C']);
  });

  it('sends at most 64 ids in one round trip', async () => {
    const { trips, lookUp, endTrip } = setUp();
    const found = Promise.all(Array.from({ length: 65 }, (_, i) => lookUp(`id${i}`)));
    await tick();
    await endTrip(0);
    await endTrip(1);
    expect(trips.map(({ ids }) => ids.length)).toEqual([64, 1]);
    expect(await found).toHaveLength(65);
  });

  it('rejects only the look-up whose answer is an Error', async () => {
    const { lookUp, endTrip } = setUp();
    const ended = Promise.allSettled([lookUp('a'), lookUp('bad'), lookUp('b')]);
    await tick();
    await endTrip(0);
    expect((await ended).map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
  });

  it('rejects every look-up of a failed round trip, and answers the next one', async () => {
    const { lookUp, endTrip } = setUp();
    const failed = Promise.allSettled([lookUp('a'), lookUp('down')]);
    await tick();
    const next = lookUp('b');
    await endTrip(0);
    expect((await failed).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await endTrip(1);
    expect(await next).toBe('B');
  });
});
