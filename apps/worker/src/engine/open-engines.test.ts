import { expect, test } from 'vitest';
import { startPractice } from './open-engines.js';

test('an engine that closes lets its present practice run end, and starts no other', async () => {
  const ends: (() => void)[] = [];
  const { stop } = startPractice(() => new Promise((resolve) => ends.push(resolve)));
  let isStopped = false;
  const stopped = stop().then(() => (isStopped = true));
  await Promise.resolve();
  expect(isStopped).toBe(false);
  ends[0]!();
  await stopped;
  expect(ends).toHaveLength(1);
});
