import {
  createKeys,
  createRedisCheckQueue,
  createRedisImageStore,
  oneSlotRule,
  type Redis,
} from '@livegate/core/redis';
import { readConfig, sharedConfig } from '@livegate/core/runtime';
import { exampleJob } from '@livegate/testing';
import { expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { findKeys, openSandbox, redisUrl, serversOf } from '../harness/redis/sandbox.js';

const slotOf = (redis: Redis, key: string) => redis.cluster('KEYSLOT', key);

it('runs against a cluster of three nodes', async () => {
  const { redis, close } = await openSandbox();
  onTestFinished(close);
  expect(serversOf(redis)).toHaveLength(3);
  expect(await redis.cluster('INFO')).toMatch(/cluster_state:ok/);
});

it('keeps all keys of one installation in one slot', async () => {
  const { redis, close } = await openSandbox();
  onTestFinished(close);
  const keys = createKeys('{livegate}');
  const made = Object.values(keys).map((key) => (typeof key === 'string' ? key : key('a', 'b')));
  const slots = await Promise.all(made.map((key) => slotOf(redis, key)));
  expect(made.length).toBeGreaterThan(10);
  expect(new Set(slots).size).toBe(1);
});

it('keeps BullMQ’s keys there, too', async () => {
  const sandbox = await openSandbox();
  onTestFinished(sandbox.close);
  const { redis, keys } = sandbox;
  const queue = createRedisCheckQueue({ ...sandbox, resultLifeSeconds: 60 });
  onTestFinished(() => queue.close());
  await createRedisImageStore({ ...sandbox, lifeSeconds: 60 }).put('a', Uint8Array.of(1));
  await queue.add('a', exampleJob);
  const found = await findKeys(redis, `${keys.prefix}*`);
  expect(found).toContain(keys.image('a'));
  expect(found.length).toBeGreaterThan(5);
  const slots = await Promise.all(found.map((key) => slotOf(redis, key)));
  expect(new Set(slots)).toEqual(new Set([await slotOf(redis, keys.schema)]));
});

it('refuses keys that would be everywhere, before anything is opened', async () => {
  const schema = z.object(sharedConfig);
  const env = { REDIS_URL: redisUrl, LIVEGATE_KEY_PREFIX: 'livegate' };
  expect(() => readConfig(schema, env, [oneSlotRule])).toThrow(/LIVEGATE_KEY_PREFIX/);
});

it('cannot work without a common slot', async () => {
  const { redis, close } = await openSandbox();
  onTestFinished(close);
  const keys = createKeys('livegate');
  const queue = createRedisCheckQueue({ redis, keys, resultLifeSeconds: 60 });
  onTestFinished(() => queue.close());
  await expect(queue.add('a', exampleJob)).rejects.toThrow(/CROSSSLOT/);
});
