import type { Job, Queue } from 'bullmq';
import type { CheckJob, CheckResult } from '../domain/check.js';
import {
  CHECK_QUEUE,
  WEBHOOK_QUEUE,
  type Cancellation,
  type Cancellations,
  type DeletableCheck,
} from '../ports.js';
import { reachRedis, type Redis } from './connection/connect.js';
import { type Keys } from './keys.js';

/** A mark outlives the result of a check that waits for this long before a worker meets it. */
const QUEUE_LIFE_SECONDS = 24 * 60 * 60;

export function createRedisCancellations(redis: Redis, keys: Keys): Cancellations {
  return {
    find: (ids) => reachRedis(() => readCancellations(redis, keys, ids)),
    forget: (id) => reachRedis(() => forgetDeleted(redis, keys, id)),
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

/** Marks a check, finished or not, as one that is being deleted. Does nothing for an unknown one. */
export async function requestErasure(
  { redis, keys, resultLifeSeconds }: CancellationOptions,
  id: string,
): Promise<void> {
  const lifeSeconds = resultLifeSeconds + QUEUE_LIFE_SECONDS;
  const used = [keys.job(id), keys.cancellation(id), keys.deleting];
  await redis.eval(MARK_ERASED, used.length, ...used, lifeSeconds, id);
}

const MARK_ERASED = `
  if redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('SET', KEYS[2], 'deleted', 'EX', ARGV[1])
    redis.call('SADD', KEYS[3], ARGV[2])
  end`;

/** The events as well: BullMQ writes ids and results there, and nobody reads them. */
export async function forgetDeleted(redis: Redis, keys: Keys, id: string): Promise<void> {
  const { deleting } = keys;
  const events = [CHECK_QUEUE, WEBHOOK_QUEUE].map(keys.events);
  const traces = [keys.cancellation(id), keys.attached(id), ...events];
  await redis.multi().unlink(traces).srem(deleting, id).exec();
}

type CheckQueueJob = Job<CheckJob, CheckResult>;

/** Deletes jobs of the queue; a running one is only hidden, and removed by its worker. */
export function createDeletions(queue: Queue<CheckJob, CheckResult>, options: CancellationOptions) {
  const { redis, keys } = options;

  return {
    hide: (id: string) => requestErasure(options, id),
    async delete(id: string): Promise<void> {
      await requestErasure(options, id);
      // Where a worker has the job, removing it fails; the worker removes it when it ends.
      const removed = await queue.remove(id);
      if (removed > 0) await forgetDeleted(redis, keys, id);
    },
    async listHidden(): Promise<DeletableCheck[]> {
      const ids = await redis.smembers(keys.deleting);
      const jobs = await Promise.all(ids.map((id) => queue.getJob(id)));
      const gone = ids.filter((_, index) => !jobs[index]);
      await Promise.all(gone.map((id) => forgetDeleted(redis, keys, id)));
      return jobs.filter((job) => job !== undefined).map(describeDeletable);
    },
  };
}

/** What leads from a check to the rest of what is kept about it. */
export function describeDeletable({ id = '', data }: CheckQueueJob): DeletableCheck {
  const { tenant, webhookUrl, keySha256 } = data;
  return {
    id,
    tenant,
    ...(webhookUrl !== undefined && { webhookUrl }),
    ...(keySha256 !== undefined && { keySha256 }),
  };
}
