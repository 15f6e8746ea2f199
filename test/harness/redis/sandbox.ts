import { randomUUID } from 'node:crypto';
import {
  connectForBackground,
  connectForRequests,
  createKeys,
  type Keys,
  type Redis,
} from '@livegate/core/redis';
import type { Log } from '@livegate/core/telemetry';
import type { Redis as Server } from 'ioredis';
import { pino } from 'pino';
import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** Instead of REDIS_URL, where a project of the suite starts a Redis of its own. */
    redisUrl?: string;
  }
}

/** Set by `npm test`, which runs a Redis of its own for the suite. */
export const redisUrl = inject('redisUrl') ?? process.env['REDIS_URL'] ?? '';
if (!redisUrl) throw new Error('REDIS_URL is not set: run the tests with "npm test"');

export const silentLog: Log = pino({ level: 'silent' });

export interface Sandbox {
  redis: Redis;
  /** Keys that no other test uses. */
  keys: Keys;
  close(): Promise<void>;
}

/** A connected client and a key space of its own, which is emptied on close. */
export async function openSandbox(url = redisUrl): Promise<Sandbox> {
  const redis = connectForRequests({ url, name: 'test' }, 5000, silentLog);
  await new Promise((resolve) => redis.once('ready', resolve));
  const keys = createKeys(`{test-${randomUUID()}}`);
  return {
    redis,
    keys,
    async close() {
      const used = await findKeys(redis, `${keys.prefix}*`);
      if (used.length > 0) await redis.del(used);
      redis.disconnect();
    },
  };
}

/** Another client, which waits for Redis, as a worker's does. */
export function connectWorker(name = 'test-worker', url = redisUrl): Redis {
  return connectForBackground({ url, name }, silentLog);
}

/** Wherever in a cluster they are. */
export async function findKeys(redis: Redis, pattern: string): Promise<string[]> {
  const found = await Promise.all(serversOf(redis).map((server) => server.keys(pattern)));
  return found.flat();
}

/** All that hold data: one, but for a cluster. */
export function serversOf(redis: Redis): Server[] {
  return 'nodes' in redis ? redis.nodes('master') : [redis];
}
