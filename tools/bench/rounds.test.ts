import { expect, test } from 'vitest';
import { interleave, median, medianRatio, percentile, repeatWork } from './rounds.js';

test('work is repeated, so many at a time, and none is under way at the end', async () => {
  let under = 0;
  let most = 0;
  const rate = await repeatWork(
    async () => {
      most = Math.max(most, ++under);
      await new Promise(setImmediate);
      under--;
    },
    { concurrency: 3, seconds: 0.02 },
  );
  expect({ under, most }).toEqual({ under: 0, most: 3 });
  expect(rate.latenciesMs.length).toBeGreaterThanOrEqual(3);
  expect(rate.perSecond).toBeGreaterThan(0);
});

test('at a pace, no more is done than the pace allows', async () => {
  const pace = { concurrency: 2, seconds: 0.1, perSecond: 40 };
  const { latenciesMs } = await repeatWork(async () => undefined, pace);
  // Two callers, each with a turn at 0 and, on a machine with time for it, one at 50 ms.
  expect(latenciesMs.length).toBeGreaterThanOrEqual(2);
  expect(latenciesMs.length).toBeLessThanOrEqual(4);
});

test('a failure ends the measurement', async () => {
  const work = () => Promise.reject(new Error('refused'));
  await expect(repeatWork(work, { concurrency: 2, seconds: 1 })).rejects.toThrow('refused');
});

test('each round does all measurements, in turn', async () => {
  const order: string[] = [];
  const note = (name: string) => async () => order.push(name);
  const results = await interleave(2, { a: note('a'), b: note('b') });
  expect(order).toEqual(['a', 'b', 'a', 'b']);
  expect(results).toEqual({ a: [1, 3], b: [2, 4] });
});

test('ratios are of the same round, and one odd round does not count', () => {
  expect(medianRatio([10, 20, 90], [20, 40, 90])).toBe(0.5);
});

test('percentiles are values that were measured', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(percentile([5, 1, 4, 2, 3], 0.99)).toBe(4);
  expect(percentile([5, 1, 4, 2, 3], 1)).toBe(5);
});
