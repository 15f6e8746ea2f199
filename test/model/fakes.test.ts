import { afterEach, beforeEach, test, vi } from 'vitest';
import { checkHistories } from './check-histories.js';
import { createFakeStore } from './fake-store.js';

// Vitest's fake timers leave these alone.
vi.mock('node:timers/promises', () => import('./fake-timers-promises.js'));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => void vi.useRealTimers());

test('in memory, a check does what a check may do in 10,000 histories', async () => {
  await checkHistories(10_000, async () => ({ store: createFakeStore(), close: async () => {} }));
});
