import { expect, it } from 'vitest';
import { nextCheckAt } from './watch-camera.js';

it.each([
  ['a quick check is followed by the next after a tenth of a second', 1000, 1020, 1100],
  ['a slow check leaves the page as much time as it took', 1000, 1700, 2400],
])('%s', (_name, begun, ended, next) => {
  expect(nextCheckAt(begun, ended)).toBe(next);
});
