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
    /** Replaces REDIS_URL in a vitest project that starts its own Redis. */
    redisUrl?: string;
  }
}

/** `npm test` starts a Redis for the suite and sets REDIS_URL. */
export const redisUrl = inject('redisUrl') ?? process.env['REDIS_URL'] ?? '';
if (!redisUrl) throw new Error('REDIS_URL is not set: run the tests with "npm test"');

export const silentLog: Log = pino({ level: 'silent' });

export interface Sandbox {
  redis: Redis;
  /** Keys that no other test uses. */
  keys: Keys;
  close(): Promise<void>;
}

/** A connected client with a unique key prefix; `close` deletes all its keys. */
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

/** A second client that waits for Redis while it is down, like a worker's. */
export function connectWorker(name = 'test-worker', url = redisUrl): Redis {
  return connectForBackground({ url, name }, silentLog);
}

/** Finds keys on all servers of a cluster. */
export async function findKeys(redis: Redis, pattern: string): Promise<string[]> {
  const found = await Promise.all(serversOf(redis).map((server) => server.keys(pattern)));
  return found.flat();
}

/** The servers that store data: all masters of a cluster, or the only server. */
export function serversOf(redis: Redis): Server[] {
  return 'nodes' in redis ? redis.nodes('master') : [redis];
}
