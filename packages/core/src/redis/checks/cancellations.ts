import type { Job, Queue } from 'bullmq';
import type { CheckJob } from '../../domain/check.js';
import {
  CHECK_QUEUE,
  WEBHOOK_QUEUE,
  type Cancellation,
  type Cancellations,
  type DeletableCheck,
} from '../../ports.js';
import { reachRedis, type Redis } from '../connection/connect.js';
import { type Keys } from '../keys.js';
import { forgetFailure } from '../processes/monitoring.js';
import type { StoredResult } from './stored-outcome.js';

/** How long a canceled check may wait in the queue before a worker reads its mark. */
const MAX_QUEUED_SECONDS = 24 * 60 * 60;

export function createRedisCancellations(options: CancellationOptions): Cancellations {
  const { redis, keys } = options;
  return {
    find: (ids) => reachRedis(() => readCancellations(redis, keys, ids)),
    cancel: (id) => reachRedis(() => requestCancellation(options, id)),
    forget: (id) => reachRedis(() => removeTraces(redis, keys, id)),
  };
}

async function readCancellations(
  redis: Redis,
  keys: Keys,
  ids: string[],
): Promise<Map<string, Cancellation>> {
  if (ids.length === 0) return new Map();
  const marks = await redis.mget(ids.map(keys.cancellation));
  const found = ids.map((id, index) => [id, readMark(marks[index]).cancellation] as const);
  return new Map(found.filter((entry): entry is [string, Cancellation] => entry[1] !== undefined));
}

export interface CancellationMark {
  cancellation?: Cancellation;
  /** When a check was canceled that no worker had, in milliseconds since the epoch. */
  endedAt?: number;
}

/** Reads `canceled` or `deleted`, with the time of a check that ended with it. */
export function readMark(mark: string | null | undefined): CancellationMark {
  if (!mark) return {};
  const [cancellation, time] = mark.split(' ');
  if (cancellation === 'deleted') return { cancellation };
  return { cancellation: 'canceled', ...(time !== undefined && { endedAt: Number(time) }) };
}

export interface CancellationOptions {
  redis: Redis;
  keys: Keys;
  resultTtlSeconds: number;
}

/**
 * Marks an unfinished check as canceled; false for a finished or unknown one. One script, so that
 * a check which ends at the same moment has either ended or is marked, never both.
 */
export async function requestCancellation(
  { redis, keys, resultTtlSeconds }: CancellationOptions,
  id: string,
): Promise<boolean> {
  const ttlSeconds = resultTtlSeconds + MAX_QUEUED_SECONDS;
  const used = [keys.job(id), keys.cancellation(id), `${keys.job(id)}:lock`];
  const args = [ttlSeconds, `canceled ${Date.now()}`];
  return (await redis.eval(CANCEL_UNLESS_ENDED, used.length, ...used, ...args)) === 1;
}

const CANCEL_UNLESS_ENDED = `
  if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], 'finishedOn') == 1 then
    return 0
  end
  local isRunning = redis.call('EXISTS', KEYS[3]) == 1
  redis.call('SET', KEYS[2], isRunning and 'canceled' or ARGV[2], 'EX', ARGV[1], 'NX')
  return 1`;

/** Marks a check, finished or not, as deleted. Does nothing for an unknown id. */
export async function requestDeletion(
  { redis, keys, resultTtlSeconds }: CancellationOptions,
  id: string,
): Promise<void> {
  const ttlSeconds = resultTtlSeconds + MAX_QUEUED_SECONDS;
  const used = [keys.job(id), keys.cancellation(id), keys.deleting];
  await redis.eval(MARK_DELETED, used.length, ...used, ttlSeconds, id);
}

const MARK_DELETED = `
  if redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('SET', KEYS[2], 'deleted', 'EX', ARGV[1])
    redis.call('SADD', KEYS[3], ARGV[2])
  end`;

/**
 * Removes every key that mentions a deleted check. The event streams go as a whole: BullMQ writes
 * ids and results there, and no process reads them.
 */
async function removeTraces(redis: Redis, keys: Keys, id: string): Promise<void> {
  const { deleting } = keys;
  const events = [CHECK_QUEUE, WEBHOOK_QUEUE].map(keys.events);
  const traces = [keys.cancellation(id), keys.attached(id), ...events];
  await forgetFailure(redis, keys, id);
  await redis.multi().unlink(traces).srem(deleting, id).exec();
}

type CheckQueueJob = Job<CheckJob, StoredResult>;

/** Deletes checks. A running one is hidden at once, and its worker removes it when it ends. */
export function createDeletions(
  queue: Queue<CheckJob, StoredResult>,
  options: CancellationOptions,
) {
  const { redis, keys } = options;

  return {
    hide: (id: string) => requestDeletion(options, id),
    async delete(id: string): Promise<void> {
      await requestDeletion(options, id);
      // BullMQ does not remove a job that a worker has; the worker removes it at its end.
      const removed = await queue.remove(id);
      if (removed > 0) await removeTraces(redis, keys, id);
    },
    async listHidden(): Promise<DeletableCheck[]> {
      const ids = await redis.smembers(keys.deleting);
      const jobs = await Promise.all(ids.map((id) => queue.getJob(id)));
      const gone = ids.filter((_, index) => !jobs[index]);
      await Promise.all(gone.map((id) => removeTraces(redis, keys, id)));
      return jobs.filter((job) => job !== undefined).map(describeDeletable);
    },
  };
}

/** The fields by which everything that is stored about a check can be found. */
export function describeDeletable({ id = '', data }: CheckQueueJob): DeletableCheck {
  const { tenant, webhookUrl, keySha256 } = data;
  return {
    id,
    tenant,
    ...(webhookUrl !== undefined && { webhookUrl }),
    ...(keySha256 !== undefined && { keySha256 }),
  };
}
