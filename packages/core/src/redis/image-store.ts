import pLimit from 'p-limit';
import type { ImageStore } from '../ports.js';
import { limitTime } from '../runtime/limit-time.js';
import { reachRedis, type Redis } from './connection/connect.js';
import type { Keys } from './keys.js';

/** More writes at once would only share the bandwidth, and time out together. */
const WRITES_AT_ONCE = 4;
/** The slowest network (20 MB/s) that an image's own time limit allows for. */
const BYTES_PER_MS = 20_000;
/** To ask for: a cluster sends the question where the images are. */
const NO_IMAGE = 'none';

export interface RedisImageStoreOptions {
  redis: Redis;
  /** For writes, where answers are urgent: megabytes hold up what is sent after them. */
  bulkRedis?: Redis;
  keys: Keys;
  /** Must exceed the longest wait in the queue plus all retries. */
  lifeSeconds: number;
  /** How long Redis may be silent before a write is given up. Without it, a write has no limit. */
  timeoutMs?: number;
}

/** Image bytes as plain Redis strings with an expiry. */
export function createRedisImageStore(options: RedisImageStoreOptions): ImageStore {
  const { redis, bulkRedis = redis, keys, lifeSeconds } = options;
  const inTurn = pLimit(WRITES_AT_ONCE);
  const awaitWrite = createAwaitWrite(options);

  return {
    async put(id, bytes) {
      // A view, not a copy: ioredis takes only a Buffer as binary.
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const key = keys.image(id);
      const write = () => bulkRedis.set(key, buffer, 'EX', lifeSeconds);
      // Behind the write, on the same connection: one that was given up may still arrive.
      const takeBack = () => bulkRedis.unlink(key);
      await reachRedis(() => inTurn(() => awaitWrite({ write, takeBack, size: bytes.length })));
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
    async ping() {
      await reachRedis(() => redis.exists(keys.image(NO_IMAGE)));
    },
  };
}

interface Write {
  write(): Promise<unknown>;
  takeBack(): Promise<unknown>;
  /** In bytes. */
  size: number;
}

/** Resolves when the image is written. */
function createAwaitWrite({ redis, keys, timeoutMs }: RedisImageStoreOptions) {
  /** Writes that were given up and may still be under way: their bytes are still held. */
  let overdue = 0;

  return async ({ write, takeBack, size }: Write): Promise<void> => {
    if (timeoutMs === undefined) return void (await write());
    // Everything that waits behind an overdue write fails at once, not one limit after the other.
    if (overdue > 0) throw new Error('an earlier image is not written yet');
    const writing = write();
    const limitMs = timeoutMs + WRITES_AT_ONCE * (size / BYTES_PER_MS);
    const ask = () => redis.exists(keys.image(NO_IMAGE));
    if (await endsBefore({ limitMs, stepMs: timeoutMs / 2, ask }, writing)) return;
    overdue += 1;
    const settle = () => (overdue -= 1);
    writing.then(settle, settle);
    takeBack().catch(() => undefined);
    throw new Error('Redis does not answer');
  };
}

interface WriteLimits {
  limitMs: number;
  stepMs: number;
  /** Over another connection, which no bytes hold up. */
  ask(): Promise<unknown>;
}

/**
 * False when the limit is first, or once Redis does not answer: a write may take long on a slow
 * network, but at a frozen Redis it does not end. Rejects as the write does.
 */
async function endsBefore({ limitMs, stepMs, ask }: WriteLimits, writing: Promise<unknown>) {
  const deadline = performance.now() + limitMs;
  while (performance.now() < deadline) {
    if (await endsWithin(stepMs, writing)) return true;
    if (!(await isAnswered(stepMs, ask()))) break;
  }
  return endsWithin(0, writing);
}

async function isAnswered(limitMs: number, asking: Promise<unknown>): Promise<boolean> {
  return limitTime(limitMs, asking).then(
    () => true,
    () => false,
  );
}

/** False when the limit is first. Rejects as the work does. */
async function endsWithin(limitMs: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, limitMs, false);
  });
  return Promise.race([work.then(() => true), limit]).finally(() => clearTimeout(timer));
}
