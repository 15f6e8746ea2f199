import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startOwnRedis } from '../dev/find-or-start-redis.js';
import type { Bench } from './bench.js';
import { withOwnCores } from './own-cores.js';

test('after a measurement on cores of their own, callers may use all cores again', async (context) => {
  const cores = availableParallelism();
  if (process.platform !== 'linux') context.skip('taskset is for Linux only');
  if (cores < 2) context.skip('one core cannot be divided');
  const dataDir = await mkdtemp(join(tmpdir(), 'livegate-own-cores-'));
  const redis = await startOwnRedis({ dataDir, say: () => undefined });
  onTestFinished(async () => {
    await redis.stop();
    await rm(dataDir, { recursive: true });
  });
  const bench = { env: { REDIS_URL: redis.url } } as unknown as Bench;
  const during = await withOwnCores(bench, () => Promise.resolve(availableParallelism()));
  expect(during).toBe(cores - Math.floor(cores / 2));
  expect(availableParallelism()).toBe(cores);
});
