import { expect, test } from 'vitest';
import { interleave, median, medianRatio, percentile, repeatWork } from './rounds.js';

test('repeatWork runs `concurrency` calls at a time, and none is running when it resolves', async () => {
  let running = 0;
  let most = 0;
  const rate = await repeatWork(
    async () => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      running--;
    },
    { concurrency: 3, seconds: 0.02 },
  );
  expect({ running, most }).toEqual({ running: 0, most: 3 });
  expect(rate.latenciesMs.length).toBeGreaterThanOrEqual(3);
  expect(rate.perSecond).toBeGreaterThan(0);
});

test('repeatWork does not exceed the rate `perSecond`', async () => {
  const pace = { concurrency: 2, seconds: 0.1, perSecond: 40 };
  const { latenciesMs } = await repeatWork(async () => undefined, pace);
  // Two callers with a call at 0 ms each, and another at 50 ms unless the machine is too busy.
  expect(latenciesMs.length).toBeGreaterThanOrEqual(2);
  expect(latenciesMs.length).toBeLessThanOrEqual(4);
});

test('repeatWork rejects when a call fails', async () => {
  const work = () => Promise.reject(new Error('refused'));
  await expect(repeatWork(work, { concurrency: 2, seconds: 1 })).rejects.toThrow('refused');
});

test('interleave runs every measurement once per round, in order', async () => {
  const order: string[] = [];
  const note = (name: string) => async () => order.push(name);
  const results = await interleave(2, { a: note('a'), b: note('b') });
  expect(order).toEqual(['a', 'b', 'a', 'b']);
  expect(results).toEqual({ a: [1, 3], b: [2, 4] });
});

test('medianRatio compares values of the same round and ignores one odd round', () => {
  expect(medianRatio([10, 20, 90], [20, 40, 90])).toBe(0.5);
});

test('median and percentile return measured values', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(percentile([5, 1, 4, 2, 3], 0.99)).toBe(4);
  expect(percentile([5, 1, 4, 2, 3], 1)).toBe(5);
});
