import { expect, test } from 'vitest';
import { isolateFailures } from './stage-runs.js';

/** Doubles each item; a batch with 13 throws. */
async function double(items: number[]): Promise<number[]> {
  if (items.includes(13)) throw new Error('poisoned');
  return items.map((item) => 2 * item);
}

test('a successful batch runs once', async () => {
  const runs: number[][] = [];
  const run = (items: number[]) => {
    runs.push(items);
    return double(items);
  };
  expect(await isolateFailures([1, 2], run)).toEqual({ answers: [2, 4] });
  expect(runs).toEqual([[1, 2]]);
});

test('a poisoned item fails alone, and the error of the batch is reported', async () => {
  const poisoned = new Error('poisoned');
  expect(await isolateFailures([1, 13, 3], double)).toEqual({
    answers: [2, poisoned, 6],
    broken: poisoned,
  });
});

test('a batch of one item that fails is not retried', async () => {
  let runs = 0;
  const answered = await isolateFailures([13], (items) => {
    runs++;
    return double(items);
  });
  expect(answered).toEqual({ answers: [new Error('poisoned')] });
  expect(runs).toBe(1);
});
