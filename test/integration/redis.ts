import { randomUUID } from 'node:crypto';
import { connectForRequests, createKeys, type Keys, type Log } from '@livegate/core';
import type { Redis } from 'ioredis';
import { pino } from 'pino';

/** Set by `npm test`, which runs a Redis of its own for the suite. */
export const redisUrl = process.env['REDIS_URL'] ?? '';
if (!redisUrl) throw new Error('REDIS_URL is not set: run the tests with "npm test"');

export const silentLog: Log = pino({ level: 'silent' });

export interface Sandbox {
  redis: Redis;
  /** Keys that no other test uses. */
  keys: Keys;
  close(): Promise<void>;
}

/** A connected client and a key space of its own, which is emptied on close. */
export async function openSandbox(): Promise<Sandbox> {
  const redis = connectForRequests({ url: redisUrl, name: 'test' }, 5000, silentLog);
  await new Promise((resolve) => redis.once('ready', resolve));
  const keys = createKeys(`{test-${randomUUID()}}`);
  return {
    redis,
    keys,
    async close() {
      const used = await redis.keys(`${keys.prefix}*`);
      if (used.length > 0) await redis.del(used);
      redis.disconnect();
    },
  };
}
