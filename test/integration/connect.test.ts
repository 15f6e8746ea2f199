import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { findFreePort } from '../../tools/dev/ports.js';
import { redisArgs, startRedisServer } from '@livegate/testing/redis/redis-server';
import { connectWorker } from '@livegate/testing/redis/sandbox';

it('a command that a server refuses as a replica is sent again on a new connection', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'livegate-replica-'));
  const port = await findFreePort();
  const server = await startRedisServer(redisArgs({ port: `${port}`, dir }));
  const redis = connectWorker('test', `redis://127.0.0.1:${port}`);
  onTestFinished(async () => {
    redis.disconnect();
    await server.stop();
    await rm(dir, { recursive: true });
  });
  await redis.replicaof('127.0.0.1', 1);
  const writing = redis.set('a', '1');
  await vi.waitUntil(() => redis.status !== 'ready');
  await redis.replicaof('NO', 'ONE');
  expect(await writing).toBe('OK');
});
