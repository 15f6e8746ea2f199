import type { Redis } from './connect.js';
import type { Cancellation, Cancellations } from '../ports.js';
import type { Keys } from './keys.js';
import { reachRedis } from './translate-errors.js';

export function createRedisCancellations(redis: Redis, keys: Keys): Cancellations {
  return { find: (ids) => reachRedis(() => readCancellations(redis, keys, ids)) };
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
  cancellation: Cancellation,
): Promise<boolean> {
  const marked = await redis.eval(
    MARK_UNLESS_ENDED,
    2,
    keys.job(id),
    keys.cancellation(id),
    cancellation,
    resultLifeSeconds,
  );
  return marked === 1;
}

const MARK_UNLESS_ENDED = `
  if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], 'finishedOn') == 1 then
    return 0
  end
  redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
  return 1`;
