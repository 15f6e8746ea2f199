import { EventEmitter, once } from 'node:events';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRanksInWork, type RankedCheck } from './by-rank.js';

/** Images that stay in work until the test ends them. */
function openWork() {
  const ranks = createRanksInWork();
  return (check: RankedCheck) => {
    const signal = new EventEmitter();
    let rank = NaN;
    const ended = ranks.during(check, async (given) => {
      rank = given;
      await once(signal, 'end');
    });
    const end = async () => {
      signal.emit('end');
      await ended;
    };
    return { rank, end };
  };
}

const checkOf = (flow: string, rank: number, ms = 20, weight = 1) => ({ flow, rank, ms, weight });

test('an image goes before those of a flow that fills the worker', async () => {
  const take = openWork();
  // The worker is one of two, so it takes twice as long for an image as the tags go on.
  const tagOf = (i: number) => 30 * (2 * i);
  const takeOfFlood = (i: number) => take(checkOf('flood', tagOf(i), 60));
  const flood = Array.from({ length: 24 }, (_, i) => takeOfFlood(i));
  for (let i = 24; i < 100; i += 1) {
    await flood.shift()!.end();
    flood.push(takeOfFlood(i));
  }
  // A flow that had nothing in the queue is 500 ms ahead of its head.
  const other = take(checkOf('other', tagOf(100) - 500));
  for (const { rank } of flood) expect(rank).toBeGreaterThan(other.rank);
});

test('images of flows that have one image each keep the order of their jobs', () => {
  const take = openWork();
  const given = [700, 200, 300, 600, 100];
  const ranks = given.map((rank, i) => take(checkOf(`tenant ${i}`, rank, 500 - rank / 2)).rank);
  expect(ranks).toEqual(given);
});

test('the images of a flow keep the order in which they came, whichever of them end', async () => {
  const image = fc.record({
    ms: fc.integer({ min: 1, max: 500 }),
    weight: fc.integer({ min: 1, max: 10 }),
    ends: fc.array(fc.nat(9), { maxLength: 3 }),
  });
  const checked = fc.assert(
    fc.asyncProperty(fc.array(image, { minLength: 2, maxLength: 20 }), async (images) => {
      const take = openWork();
      const inWork: ReturnType<typeof take>[] = [];
      const overtaken: typeof inWork = [];
      let tag = 0;
      for (const { ms, weight, ends } of images) {
        tag += ms / weight;
        const taken = take(checkOf('a', Math.ceil(tag), ms, weight));
        overtaken.push(...inWork.filter(({ rank }) => rank > taken.rank));
        inWork.push(taken);
        for (const i of ends) await inWork.splice(i, 1)[0]?.end();
      }
      return overtaken.length === 0;
    }),
    { numRuns: 100 },
  );
  await expect(checked).resolves.toBeUndefined();
});

test('a flow goes on from its new tags when the queue has lowered all of them', () => {
  const take = openWork();
  take(checkOf('a', 1_000_000));
  expect(take(checkOf('a', 100)).rank).toBe(120);
  expect(take(checkOf('a', 120)).rank).toBe(160);
});

test('failed work leaves nothing behind', async () => {
  const ranks = createRanksInWork();
  const fail = () => Promise.reject(new Error('broken'));
  await expect(ranks.during(checkOf('a', 9), fail)).rejects.toThrow('broken');
  expect(await ranks.during(checkOf('a', 0), async (rank) => rank)).toBe(0);
});
