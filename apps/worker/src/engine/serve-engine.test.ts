import { expect, test } from 'vitest';
import { isolateFailures, listRunSizes, padRunFor } from './serve-engine.js';

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

test('runs on a CPU and of candidates have no padding', () => {
  const ofCpu = padRunFor({ executionProvider: 'cpu', maxBatch: 8 }, 1);
  expect(listRunSizes(5, ofCpu)).toEqual([5, 4, 3, 2, 1]);
  const ofCandidate = padRunFor({ executionProvider: 'cuda' }, 4);
  expect(listRunSizes(5, ofCandidate)).toEqual([5, 4, 3, 2, 1]);
});

test('all runs on an accelerator have the size of a full batch', () => {
  const spec = { executionProvider: 'cuda', maxBatch: 16 } as const;
  expect(listRunSizes(16, padRunFor(spec, 1))).toEqual([16]);
  expect(listRunSizes(64, padRunFor(spec, 4))).toEqual([64]);
});
