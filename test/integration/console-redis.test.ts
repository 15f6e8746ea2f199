import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import {
  connectForRequests,
  createKeys,
  createRedisMonitoring,
  createRedisWorkerRegistry,
  readState,
} from '@livegate/core/redis';
import { createOwnRedis } from '@livegate/testing/redis/own-redis';
import { silentLog } from '@livegate/testing/redis/sandbox';
import { expect, it, onTestFinished } from 'vitest';
import { createSnapshotReader } from '../../apps/api/src/operator/console/read-snapshot.js';

const pollOptions = { timeout: 10_000, interval: 20 };

/** What the console of one gateway finds, whose processes are all alive as long as Redis lets them. */
async function openConsole(url: string) {
  const redis = connectForRequests({ url, name: 'test' }, 500, silentLog);
  onTestFinished(() => redis.disconnect());
  await new Promise((resolve) => redis.once('ready', resolve));
  const keys = createKeys('{console}');
  const monitoring = createRedisMonitoring(redis, keys);
  const alive = { uptimeMs: 1000, values: {}, distributions: {} };
  await monitoring.publish({ process: 'w1', kind: 'worker', ...alive }, []);
  await monitoring.publish({ process: 'g1', kind: 'gateway', ...alive }, []);
  const registry = createRedisWorkerRegistry(redis, keys);
  const read = () =>
    createSnapshotReader({
      gateway: 'g1',
      monitoring,
      registry,
      stateReaders: [{ name: 'queue', read: () => readState(redis) }],
      now: Date.now,
    }).read();
  return { redis, find: async () => (await read()).findings.map(({ id }) => id) };
}

async function openRedis() {
  const own = await createOwnRedis();
  onTestFinished(() => own.remove());
  return own;
}

it('finds nothing with a healthy Redis', async () => {
  const { find } = await openConsole((await openRedis()).url);
  expect(await find()).toEqual([]);
});

it('finds a Redis that cannot write to its disk, and blames no process', async () => {
  const own = await openRedis();
  const { redis, find } = await openConsole(own.url);
  await redis.config('SET', 'save', '3600 1');
  // In the place of the file that Redis wants to write.
  const obstacle = join(own.dataDir, 'dump.rdb');
  await mkdir(join(obstacle, 'a'), { recursive: true });
  const save = () => redis.bgsave().catch(() => undefined);
  await save();
  await expect.poll(find, pollOptions).toEqual(['redis-disk-queue']);
  await expect(redis.set('{console}:a', '1')).rejects.toThrow('MISCONF');
  await rm(obstacle, { recursive: true });
  await save();
  await expect.poll(find, pollOptions).toEqual([]);
});

it('finds a Redis whose memory is full', async () => {
  const { redis, find } = await openConsole((await openRedis()).url);
  await redis.config('SET', 'maxmemory', '1000000');
  expect(await find()).toEqual(['redis-memory-queue']);
});

it('finds a Redis that does not answer, and one that answers again', async () => {
  const own = await openRedis();
  const { find } = await openConsole(own.url);
  own.freeze();
  expect(await find()).toEqual(['redis-unreachable']);
  own.thaw();
  await expect.poll(find, pollOptions).toEqual([]);
});

it('finds a Redis behind a slow network', async () => {
  const own = await openRedis();
  const proxy = await startSlowProxy(Number(new URL(own.url).port), 80);
  const { find } = await openConsole(`redis://127.0.0.1:${proxy}`);
  expect(await find()).toEqual(['redis-slow-queue']);
});

/** Passes bytes on, each way a while later. */
async function startSlowProxy(to: number, delayMs: number): Promise<number> {
  const server = createServer((client) => {
    const target = connect(to, '127.0.0.1');
    for (const [from, into] of [
      [client, target],
      [target, client],
    ] as const) {
      from.on('data', (bytes) => setTimeout(() => into.write(bytes), delayMs));
      from.on('error', () => undefined);
      from.on('close', () => into.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
