import { LivegateError } from '@livegate/core';
import { expect, test } from 'vitest';
import { isolateFailures } from './isolate-failures.js';

/** Doubles a batch; any batch that holds 13 throws. */
async function double(items: number[]): Promise<number[]> {
  if (items.includes(13)) throw new Error('poisoned');
  return items.map((item) => 2 * item);
}

test('a batch that succeeds runs once', async () => {
  const runs: number[][] = [];
  const results = await isolateFailures([1, 2], (items) => {
    runs.push(items);
    return double(items);
  });
  expect(results).toEqual([2, 4]);
  expect(runs).toEqual([[1, 2]]);
});

test('a poisoned item fails alone, as internal_error with its cause', async () => {
  const results = await isolateFailures([1, 13, 3], double);
  expect(results).toEqual([2, expect.any(LivegateError), 6]);
  expect(results[1]).toMatchObject({ code: 'internal_error', cause: new Error('poisoned') });
});

test('an error with a code keeps it', async () => {
  const refuse = () => Promise.reject(new LivegateError('invalid_image'));
  expect(await isolateFailures([1], refuse)).toMatchObject([{ code: 'invalid_image' }]);
});

test('nothing to do runs nothing', async () => {
  expect(await isolateFailures([], () => Promise.reject(new Error('ran')))).toEqual([]);
});
