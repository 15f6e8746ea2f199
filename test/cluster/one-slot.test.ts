import {
  createKeys,
  createRedisCheckQueue,
  createRedisImageStore,
  type Redis,
} from '@livegate/core/redis';
import { readConfig, sharedConfig } from '@livegate/core/runtime';
import { oneSlotRule } from '@livegate/core/store-url';
import { exampleJob } from '@livegate/testing';
import { expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { findKeys, openSandbox, redisUrl, serversOf } from '@livegate/testing/redis/sandbox';

const slotOf = (redis: Redis, key: string) => redis.cluster('KEYSLOT', key);

it('the cluster tests run against a cluster of three nodes', async () => {
  const { redis, close } = await openSandbox();
  onTestFinished(close);
  expect(serversOf(redis)).toHaveLength(3);
  expect(await redis.cluster('INFO')).toMatch(/cluster_state:ok/);
});

it('all keys of one installation are in one slot', async () => {
  const { redis, close } = await openSandbox();
  onTestFinished(close);
  const keys = createKeys('{livegate}');
  const made = Object.values(keys).map((key) => (typeof key === 'string' ? key : key('a', 'b')));
  const slots = await Promise.all(made.map((key) => slotOf(redis, key)));
  expect(made.length).toBeGreaterThan(10);
  expect(new Set(slots).size).toBe(1);
});

it('BullMQ’s keys are in the slot of the other keys', async () => {
  const sandbox = await openSandbox();
  onTestFinished(sandbox.close);
  const { redis, keys } = sandbox;
  const queue = createRedisCheckQueue({ ...sandbox, resultTtlSeconds: 60 });
  onTestFinished(() => queue.close());
  await createRedisImageStore({ ...sandbox, ttlSeconds: 60 }).put('a', Uint8Array.of(1));
  await queue.add('a', exampleJob);
  const found = await findKeys(redis, `${keys.prefix}*`);
  expect(found).toContain(keys.image('a'));
  expect(found.length).toBeGreaterThan(5);
  const slots = await Promise.all(found.map((key) => slotOf(redis, key)));
  expect(new Set(slots)).toEqual(new Set([await slotOf(redis, keys.schema)]));
});

it('the configuration refuses a key prefix without a hash tag', async () => {
  const schema = z.object(sharedConfig);
  const env = { REDIS_URL: redisUrl, LIVEGATE_KEY_PREFIX: 'livegate' };
  expect(() => readConfig(schema, env, [oneSlotRule])).toThrow(/LIVEGATE_KEY_PREFIX/);
});

it('adding a job without a hash tag fails with CROSSSLOT', async () => {
  const { redis, close } = await openSandbox();
  onTestFinished(close);
  const keys = createKeys('livegate');
  const queue = createRedisCheckQueue({ redis, keys, resultTtlSeconds: 60 });
  onTestFinished(() => queue.close());
  await expect(queue.add('a', exampleJob)).rejects.toThrow(/CROSSSLOT/);
});
