import type { Redis } from 'ioredis';
import { it, type TestContext } from 'vitest';
import { selfie } from '@livegate/testing/images/photos';
import { ask, postImage } from '@livegate/testing/product/post-image';
import { createEnv, startApi, startWorker, untilReady } from '@livegate/testing/product/processes';
import { startRedisCluster } from '@livegate/testing/redis/redis-cluster';
import { startRedisSentinels } from '@livegate/testing/redis/redis-sentinels';

const prefix = '{failover}';
const low = { status: 200, body: { result: { status: 'LOW' } } };
const eventually = { timeout: 30_000, interval: 50 };

const groups = {
  sentinels: startRedisSentinels,
  cluster: () => startRedisCluster({ keyToReplicate: prefix }),
};

/** A gateway and a stopped worker, so that checks wait in the queue until SIGCONT. */
async function startWithStoppedWorker(group: keyof typeof groups, { onTestFinished }: TestContext) {
  const redis = await groups[group]();
  onTestFinished(redis.stop);
  const env = createEnv({
    REDIS_URL: redis.url,
    LIVEGATE_KEY_PREFIX: prefix,
    LIVEGATE_WAIT_LIMIT_MS: '50000',
  });
  const [api, worker] = await Promise.all([startApi(env), startWorker(env)]);
  onTestFinished(async () => {
    await Promise.all([api.stop('SIGKILL'), worker.stop('SIGKILL')]);
  });
  await untilReady(api.url);
  worker.child.kill('SIGSTOP');
  return { redis, api, worker };
}

it.concurrent.for(['sentinels', 'cluster'] as const)(
  'every accepted check succeeds after a Redis replica takes over: %s',
  // A worker notices after 15 s that its leader is silent, and finds stalled jobs after 20 s more.
  { timeout: 120_000 },
  async (group, context) => {
    const { expect } = context;
    const { redis, api, worker } = await startWithStoppedWorker(group, context);
    const { client, server } = redis.leader;
    const photo = await selfie();
    const accepted = await Promise.all(
      Array.from({ length: 5 }, () => postImage(api.url, photo, { Prefer: 'respond-async' })),
    );
    expect(accepted.map(({ status }) => status)).toEqual(Array(5).fill(202));
    const awaited = postImage(api.url, photo);
    await expect.poll(() => countUnfinished(client), eventually).toBe(6);
    // Replication is asynchronous: the product promises nothing about keys the replica lacks.
    await client.set(`${prefix}:marker`, 'x');
    expect(await client.wait(1, 5000)).toBe(1);

    // SIGSTOP closes no connection, as when the machine loses power.
    server.process.kill('SIGSTOP');
    worker.child.kill('SIGCONT');

    expect(await awaited).toMatchObject(low);
    for (const { requestId } of accepted) {
      const read = () => ask(`${api.url}/v1/jobs/${requestId}`);
      await expect.poll(read, eventually).toMatchObject({ body: { status: 'succeeded' } });
    }
    await untilReady(api.url);
    expect(await postImage(api.url, photo)).toMatchObject(low);
    expect(await Promise.all([api.stop(), worker.stop()])).toEqual([0, 0]);
  },
);

async function countUnfinished(client: Redis): Promise<number> {
  const queue = `${prefix}:liveness`;
  const [wait, prioritized, active] = await Promise.all([
    client.llen(`${queue}:wait`),
    client.zcard(`${queue}:prioritized`),
    client.llen(`${queue}:active`),
  ]);
  return wait + prioritized + active;
}
