import type { Redis } from 'ioredis';
import type { ImageStore } from '../ports.js';
import type { Keys } from './keys.js';
import { reachRedis } from './translate-errors.js';

export interface RedisImageStoreOptions {
  redis: Redis;
  keys: Keys;
  /** Must exceed the longest wait in the queue plus all retries. */
  lifeSeconds: number;
}

/** Image bytes as plain Redis strings with an expiry. */
export function createRedisImageStore(options: RedisImageStoreOptions): ImageStore {
  const { redis, keys, lifeSeconds } = options;
  return {
    async put(id, bytes) {
      // A view, not a copy: ioredis takes only a Buffer as binary.
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      await reachRedis(() => redis.set(keys.image(id), buffer, 'EX', lifeSeconds));
    },
    async get(ids) {
      if (ids.length === 0) return [];
      const values = await reachRedis(() => redis.mgetBuffer(ids.map(keys.image)));
      return values.map((value) => value ?? undefined);
    },
    async delete(id) {
      // UNLINK frees megabytes outside Redis's one command thread.
      await reachRedis(() => redis.unlink(keys.image(id)));
    },
  };
}
