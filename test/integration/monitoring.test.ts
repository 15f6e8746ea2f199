import { MIN_GROUP } from '@livegate/core/domain';
import {
  createRedisCheckQueue,
  createRedisMonitoring,
  createRedisWebhookStore,
} from '@livegate/core/redis';
import { describeMonitoring } from '@livegate/testing';
import { openSandbox } from '@livegate/testing/redis/sandbox';
import { describe, expect, it, onTestFinished } from 'vitest';

async function open() {
  const sandbox = await openSandbox();
  onTestFinished(() => sandbox.close());
  return { ...sandbox, monitoring: createRedisMonitoring(sandbox.redis, sandbox.keys) };
}

describe('the Redis adapter fulfills the contract of its port', () => {
  describeMonitoring(async () => {
    const sandbox = await openSandbox();
    const { redis, keys } = sandbox;
    const queue = createRedisCheckQueue({ ...sandbox, resultTtlSeconds: 60 });
    const port = {
      monitoring: createRedisMonitoring(redis, keys),
      queue,
      endpoints: createRedisWebhookStore(redis, keys),
    };
    return {
      port,
      async close() {
        await queue.close();
        await sandbox.close();
      },
    };
  });
});

const sample = {
  process: 'a',
  kind: 'worker',
  uptimeMs: 1000,
  values: {},
  distributions: {},
} as const;

describe('samples', () => {
  it('are read in several pages when there are thousands', async () => {
    const { monitoring, redis, keys } = await open();
    const adding = redis.pipeline();
    const json = JSON.stringify(sample);
    for (let n = 0; n < 4100; n += 1) adding.xadd(keys.samples, '*', 'sample', json);
    await adding.exec();
    expect((await monitoring.readSamples()).samples).toHaveLength(4100);
  });

  it('leave no key without a TTL', async () => {
    const { monitoring, redis, keys } = await open();
    const counts = { LOW: MIN_GROUP };
    await monitoring.publish(sample, [{ tenant: 'acme', counts }]);
    await monitoring.noteFailure({ code: 'overloaded', id: 'a', isCheck: false });
    await monitoring.noteAttempt({ tenant: 'acme', endpoint: 'webhook_url', outcome: '5xx' });
    const used = await redis.keys(`${keys.prefix}:*`);
    expect(used).toHaveLength(5);
    for (const key of used) expect(await redis.ttl(key)).toBeGreaterThan(0);
  });
});
