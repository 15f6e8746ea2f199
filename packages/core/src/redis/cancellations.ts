import type { Redis } from './connect.js';
import type { Cancellation, Cancellations } from '../ports.js';
import { CHECK_QUEUE, WEBHOOK_QUEUE, type Keys } from './keys.js';
import { reachRedis } from './translate-errors.js';

/** A mark outlives the result of a check that waits for this long before a worker meets it. */
const QUEUE_LIFE_SECONDS = 24 * 60 * 60;

export function createRedisCancellations(redis: Redis, keys: Keys): Cancellations {
  return {
    find: (ids) => reachRedis(() => readCancellations(redis, keys, ids)),
    forget: (id) => reachRedis(() => forgetErased(redis, keys, id)),
  };
}

export async function readCancellations(
  redis: Redis,
  keys: Keys,
  ids: string[],
): Promise<Map<string, Cancellation>> {
  if (ids.length === 0) return new Map();
  const marks = await redis.mget(ids.map(keys.cancellation));
  const found = ids.map((id, index) => [id, marks[index]] as const);
  return new Map(found.filter((entry): entry is [string, Cancellation] => entry[1] !== null));
}

export interface CancellationOptions {
  redis: Redis;
  keys: Keys;
  resultLifeSeconds: number;
}

/**
 * Marks a check that has not ended; false if it has, or is not known. One step inside Redis, so that a
 * check which ends at the same moment has either ended or is marked, and never both.
 */
export async function requestCancellation(
  { redis, keys, resultLifeSeconds }: CancellationOptions,
  id: string,
): Promise<boolean> {
  const lifeSeconds = resultLifeSeconds + QUEUE_LIFE_SECONDS;
  const [job, mark] = [keys.job(id), keys.cancellation(id)];
  return (await redis.eval(CANCEL_UNLESS_ENDED, 2, job, mark, lifeSeconds)) === 1;
}

const CANCEL_UNLESS_ENDED = `
  if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], 'finishedOn') == 1 then
    return 0
  end
  redis.call('SET', KEYS[2], 'canceled', 'EX', ARGV[1], 'NX')
  return 1`;

/** Marks a check, finished or not, as one that is being erased. Does nothing for an unknown one. */
export async function requestErasure(
  { redis, keys, resultLifeSeconds }: CancellationOptions,
  id: string,
): Promise<void> {
  const lifeSeconds = resultLifeSeconds + QUEUE_LIFE_SECONDS;
  const used = [keys.job(id), keys.cancellation(id), keys.erasing];
  await redis.eval(MARK_ERASED, used.length, ...used, lifeSeconds, id);
}

const MARK_ERASED = `
  if redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('SET', KEYS[2], 'erased', 'EX', ARGV[1])
    redis.call('SADD', KEYS[3], ARGV[2])
  end`;

/** The events as well: BullMQ writes ids and results there, and nobody reads them. */
export async function forgetErased(redis: Redis, keys: Keys, id: string): Promise<void> {
  const { erasing } = keys;
  const events = [CHECK_QUEUE, WEBHOOK_QUEUE].map(keys.events);
  const traces = [keys.cancellation(id), keys.attached(id), ...events];
  await redis.multi().unlink(traces).srem(erasing, id).exec();
}
