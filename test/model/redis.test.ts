import { randomUUID } from 'node:crypto';
import { createKeys } from '@livegate/core/redis';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openSandbox } from '@livegate/testing/redis/sandbox';
import { findFault } from './find-fault.js';
import { openRedisStore, withoutSocketTimeout } from './redis-store.js';

// Vitest's fake timers do not replace this module.
vi.mock('node:timers/promises', () => import('./fake-timers-promises.js'));

const sandbox = await openSandbox();
withoutSocketTimeout(sandbox.redis);
afterAll(sandbox.close);

// Redis uses the real clock; only callers wait by the fake one.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => void vi.useRealTimers());

test('every check follows the model in 100 histories in Redis', async () => {
  const fault = await findFault(100, async () => {
    const keys = createKeys(`${sandbox.keys.prefix}:${randomUUID()}`);
    return openRedisStore({ ...sandbox, keys });
  });
  expect(fault).toBeUndefined();
});
