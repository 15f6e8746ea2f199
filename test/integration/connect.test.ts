import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { connectForBackground, connectForRequests, type Redis } from '@livegate/core/redis';
import { expect, it, onTestFinished, vi } from 'vitest';
import { findFreePort } from '../../tools/dev/ports.js';
import { redisArgs, startRedisServer } from '@livegate/testing/redis/redis-server';
import { connectWorker, redisUrl, silentLog } from '@livegate/testing/redis/sandbox';
import { createTcpProxy } from '@livegate/testing/redis/tcp-proxy';

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

it.each<[string, (redis: Redis) => Promise<unknown>, unknown]>([
  ['a command', (redis) => redis.ping(), 'PONG'],
  ['a pipeline', (redis) => redis.pipeline().ping().exec(), [[null, 'PONG']]],
  ['a script', (redis) => redis.eval('return 1', 0), 1],
])('an answer to %s that arrives while the event loop is blocked counts', async (_, ask, value) => {
  const limitMs = 100;
  const redis = connectForRequests({ url: redisUrl, name: 'test' }, limitMs, silentLog);
  onTestFinished(() => redis.disconnect());
  await vi.waitUntil(() => redis.status === 'ready');
  const answer = ask(redis);
  await setImmediate();
  const end = performance.now() + 2 * limitMs;
  while (performance.now() < end);
  await expect(answer).resolves.toEqual(value);
});

/** Longer than each kind of connection waits for an answer. */
const NOTICED = { timeout: 40_000, interval: 100 };

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
