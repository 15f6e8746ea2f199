import { availableParallelism } from 'node:os';
import { expect, onTestFinished, test } from 'vitest';
import { startTemporaryRedis } from '../dev/find-or-start-redis.js';
import type { Bench } from './bench.js';
import { withOwnCores } from './own-cores.js';

test('after a measurement on cores of their own, callers may use all cores again', async (context) => {
  const cores = availableParallelism();
  if (process.platform !== 'linux') context.skip('taskset is for Linux only');
  if (cores < 2) context.skip('one core cannot be divided');
  const redis = await startTemporaryRedis('own-cores', () => undefined);
  onTestFinished(() => redis.stop());
  const bench = { env: { REDIS_URL: redis.url } } as unknown as Bench;
  const during = await withOwnCores(bench, () => Promise.resolve(availableParallelism()));
  expect(during).toBe(cores - Math.floor(cores / 2));
  expect(availableParallelism()).toBe(cores);
});
