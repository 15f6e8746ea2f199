import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import {
  connectForBackground,
  connectForRequests,
  readState,
  type Redis,
} from '@livegate/core/redis';
import { expect, it, onTestFinished, vi } from 'vitest';
import { findFreePort } from '../../tools/dev/ports.js';
import { startRedisCluster } from '@livegate/testing/redis/redis-cluster';
import { redisArgs, startRedisServer } from '@livegate/testing/redis/redis-server';
import { connectWorker, redisUrl, silentLog } from '@livegate/testing/redis/sandbox';
import { createTcpProxy } from '@livegate/testing/redis/tcp-proxy';

/** Longer than each kind of connection waits for an answer. */
const NOTICED = { timeout: 40_000, interval: 100 };

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
  await vi.waitUntil(() => redis.status !== 'ready', NOTICED);
  await redis.replicaof('NO', 'ONE');
  expect(await writing).toBe('OK');
});

interface Scripted {
  one(): Promise<number>;
}

it('answers that arrive while the event loop is blocked count', async () => {
  const limitMs = 1000;
  const redis = connectForRequests({ url: redisUrl, name: 'test' }, limitMs, silentLog);
  onTestFinished(() => redis.disconnect());
  await vi.waitUntil(() => redis.status === 'ready', NOTICED);
  redis.defineCommand('one', { lua: 'return 1', numberOfKeys: 0 });
  const answers = Promise.all([
    redis.ping(),
    redis.pipeline().ping().exec(),
    (redis as unknown as Scripted).one(),
  ]);
  await setImmediate();
  const end = performance.now() + 2 * limitMs;
  while (performance.now() < end);
  await expect(answers).resolves.toEqual(['PONG', [[null, 'PONG']], 1]);
});

it('a cluster node that does not answer fails its command after the limit', async () => {
  const cluster = await startRedisCluster();
  onTestFinished(() => cluster.stop());
  const redis = connectForRequests({ url: cluster.url, name: 'test' }, 500, silentLog);
  onTestFinished(() => redis.disconnect());
  await vi.waitUntil(() => redis.status === 'ready', NOTICED);
  await readState(redis);
  cluster.leader.server.process.kill('SIGSTOP');
  await expect(readState(redis)).rejects.toThrow('no answer within 500 ms');
});

it.concurrent.for([
  ['for requests', connectForRequests],
  ['for background work', connectWorkerTo],
] as const)(
  'a connection %s that was silently dropped on its way is opened again',
  { timeout: 60_000 },
  async ([, connect], { expect: expectHere, onTestFinished: finish }) => {
    const link = await createTcpProxy(Number(new URL(redisUrl).port));
    const url = `redis://127.0.0.1:${link.port}`;
    const redis = connect({ url, name: 'test' }, 500, silentLog);
    finish(() => {
      redis.disconnect();
      link.close();
    });
    await vi.waitUntil(() => redis.status === 'ready', NOTICED);
    link.fail('half-open');
    void redis.ping().catch(() => undefined);
    link.heal();
    const isAnswered = () =>
      redis.ping().then(
        (answer) => answer === 'PONG',
        () => false,
      );
    await expectHere.poll(isAnswered, NOTICED).toBe(true);
  },
);

function connectWorkerTo(address: { url: string; name: string }): Redis {
  return connectForBackground(address, silentLog);
}
