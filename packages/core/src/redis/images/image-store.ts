import pLimit from 'p-limit';
import { LivegateError } from '../../domain/errors.js';
import type { ImageStore } from '../../ports.js';
import { limitTime } from '../../runtime/limit-time.js';
import { reachRedis, type Redis } from '../connection/connect.js';
import type { Keys } from '../keys.js';
import { createImageCipher, type ImageCipher } from './image-cipher.js';

/** With more writes at once, each gets less bandwidth, and they time out together. */
const WRITES_AT_ONCE = 4;
/** A write's time limit assumes a network of at least 20 MB/s. */
const BYTES_PER_MS = 20_000;
/** Dummy id for pings: an EXISTS on its key goes to the cluster node that has the images. */
const PING_ID = 'none';

export interface RedisImageStoreOptions {
  redis: Redis;
  /** A connection for writes: megabytes delay the commands that are sent after them. */
  writeRedis?: Redis;
  keys: Keys;
  /** Encrypts; without it, images are stored as they are. */
  cipher?: ImageCipher;
  /** Must exceed the longest wait in the queue plus all retries. */
  ttlSeconds: number;
  /** Longest silence of Redis before a write fails; without it, a write waits without a limit. */
  timeoutMs?: number;
}

/** Image bytes as Redis strings with a TTL. */
export function createRedisImageStore(options: RedisImageStoreOptions): ImageStore {
  const { redis, writeRedis = redis, keys, ttlSeconds } = options;
  const { cipher = createImageCipher({}) } = options;
  const limitWrites = pLimit(WRITES_AT_ONCE);
  const awaitWrite = createAwaitWrite(options);

  return {
    async put(id, bytes) {
      const key = keys.image(id);
      // Encrypted just before its write, so that few images are in memory twice.
      const write = () => writeRedis.set(key, cipher.seal(id, bytes), 'EX', ttlSeconds);
      // On the same connection, so after the write: a write that timed out may still arrive.
      const undo = () => writeRedis.unlink(key);
      await reachRedis(() => limitWrites(() => awaitWrite({ write, undo, size: bytes.length })));
    },
    async get(ids) {
      if (ids.length === 0) return [];
      const values = await reachRedis(() => redis.mgetBuffer(ids.map(keys.image)));
      return values.map((value, i) => (value ? openValue(ids[i]!, value) : undefined));
    },
    async delete(id) {
      // UNLINK frees megabytes outside the one thread in which Redis runs commands.
      await reachRedis(() => redis.unlink(keys.image(id)));
    },
    async ping() {
      await reachRedis(() => redis.exists(keys.image(PING_ID)));
    },
  };

  function openValue(id: string, value: Buffer): Uint8Array | LivegateError {
    try {
      return cipher.open(id, value);
    } catch (error) {
      if (error instanceof LivegateError) return error;
      throw error;
    }
  }
}

interface Write {
  write(): Promise<unknown>;
  undo(): Promise<unknown>;
  /** In bytes. */
  size: number;
}

/** Returns a function that resolves when an image is written, and rejects after its time limit. */
function createAwaitWrite({ redis, keys, timeoutMs }: RedisImageStoreOptions) {
  /** Writes that timed out and have not ended: ioredis still holds their bytes. */
  let overdue = 0;

  return async ({ write, undo, size }: Write): Promise<void> => {
    if (timeoutMs === undefined) return void (await write());
    // All writes behind an overdue one fail at once, instead of one time limit after the other.
    if (overdue > 0) throw new Error('an earlier image is not written yet');
    const writing = write();
    const limitMs = timeoutMs + WRITES_AT_ONCE * (size / BYTES_PER_MS);
    const ping = () => redis.exists(keys.image(PING_ID));
    if (await endsBefore({ limitMs, stepMs: timeoutMs / 2, ping }, writing)) return;
    overdue += 1;
    const settle = () => (overdue -= 1);
    writing.then(settle, settle);
    undo().catch(() => undefined);
    throw new Error('Redis does not answer');
  };
}

interface WriteLimits {
  limitMs: number;
  stepMs: number;
  /** Over another connection, which no image bytes delay. */
  ping(): Promise<unknown>;
}

/**
 * True when the write ends in time; false after the limit, or once Redis does not answer a ping: a
 * slow network delays a write, a frozen Redis never ends it. Rejects when the write rejects.
 */
async function endsBefore({ limitMs, stepMs, ping }: WriteLimits, writing: Promise<unknown>) {
  const deadline = performance.now() + limitMs;
  while (performance.now() < deadline) {
    if (await endsWithin(stepMs, writing)) return true;
    if (!(await isAnswered(stepMs, ping()))) break;
  }
  return endsWithin(0, writing);
}

async function isAnswered(limitMs: number, pinging: Promise<unknown>): Promise<boolean> {
  return limitTime(limitMs, pinging).then(
    () => true,
    () => false,
  );
}

/** False when the limit comes first. Rejects when the work rejects. */
async function endsWithin(limitMs: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, limitMs, false);
  });
  return Promise.race([work.then(() => true), limit]).finally(() => clearTimeout(timer));
}
