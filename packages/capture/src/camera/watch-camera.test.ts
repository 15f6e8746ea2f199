import { expect, it } from 'vitest';
import { createTurnLimit, nextCheckAt } from './watch-camera.js';

it.each([
  ['a quick check is followed by the next after a tenth of a second', 1000, 1020, 1100],
  ['a slow check leaves the page as much time as it took', 1000, 1700, 2400],
])('%s', (_name, begun, ended, next) => {
  expect(nextCheckAt(begun, ended)).toBe(next);
});

it('a turned head holds the photo back for six seconds in all', () => {
  const turn = createTurnLimit();
  expect(turn.isReached(1000, true)).toBe(false);
  expect(turn.isReached(4000, true)).toBe(false);
  // Upright for a long while.
  expect(turn.isReached(4100, false)).toBe(false);
  expect(turn.isReached(20_000, true)).toBe(false);
  expect(turn.isReached(22_900, true)).toBe(false);
  expect(turn.isReached(23_000, true)).toBe(true);
});
