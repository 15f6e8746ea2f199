import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createFakeStore } from './fake-store.js';
import { findFault } from './find-fault.js';

// Vitest's fake timers do not replace this module.
vi.mock('node:timers/promises', () => import('./fake-timers-promises.js'));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => void vi.useRealTimers());

test('every check follows the model in 10,000 histories in memory', async () => {
  const store = async () => ({ store: createFakeStore(), close: async () => undefined });
  expect(await findFault(10_000, store)).toBeUndefined();
});
