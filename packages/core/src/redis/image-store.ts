import type { Redis } from './connect.js';
import pLimit from 'p-limit';
import type { ImageStore } from '../ports.js';
import type { Keys } from './keys.js';
import { reachRedis } from './translate-errors.js';

/** More writes at once would only share the bandwidth, and time out together. */
const WRITES_AT_ONCE = 4;
/** The slowest network (20 MB/s) that an image's own time limit allows for. */
const BYTES_PER_MS = 20_000;

export interface RedisImageStoreOptions {
  /** A connection of its own where answers are urgent: megabytes hold up what is sent after them. */
  redis: Redis;
  keys: Keys;
  /** Must exceed the longest wait in the queue plus all retries. */
  lifeSeconds: number;
  /** How long a write may take beside what its bytes take. Without it, as long as it needs. */
  timeoutMs?: number;
}

/** Image bytes as plain Redis strings with an expiry. */
export function createRedisImageStore(options: RedisImageStoreOptions): ImageStore {
  const { redis, keys, lifeSeconds, timeoutMs = Infinity } = options;
  const inTurn = pLimit(WRITES_AT_ONCE);
  /** Writes that were given up and may still be under way: their bytes are still held. */
  let overdue = 0;

  return {
    async put(id, bytes) {
      // A view, not a copy: ioredis takes only a Buffer as binary.
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const limitMs = timeoutMs + WRITES_AT_ONCE * (bytes.length / BYTES_PER_MS);
      const write = () => redis.set(keys.image(id), buffer, 'EX', lifeSeconds);
      await reachRedis(() => inTurn(() => writeWithin(limitMs, write)));
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
  /** Everything that waits behind an overdue write fails at once, not one limit after the other. */
  async function writeWithin(limitMs: number, write: () => Promise<unknown>): Promise<void> {
    if (overdue > 0) throw new Error('an earlier image is not written yet');
    const writing = write();
    if (await endsWithin(limitMs, writing)) return;
    overdue += 1;
    const settle = () => (overdue -= 1);
    writing.then(settle, settle);
    throw new Error(`no answer within ${limitMs} ms`);
  }
}

/** False when the limit is first. Rejects as the work does. */
async function endsWithin(limitMs: number, work: Promise<unknown>): Promise<boolean> {
  if (limitMs === Infinity) return work.then(() => true);
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, limitMs, false);
  });
  return Promise.race([work.then(() => true), limit]).finally(() => clearTimeout(timer));
}
