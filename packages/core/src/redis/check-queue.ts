import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import {
  SCHEMA_VERSION,
  type CheckJob,
  type CheckOutcome,
  type CheckResult,
} from '../domain/check.js';
import { isErrorCode } from '../domain/errors.js';
import type { CheckQueue } from '../ports.js';
import { CHECK_QUEUE, type Keys } from './keys.js';
import { reachRedis } from './translate-errors.js';

/** Job data holds ids and small facts; more than this in it is a bug. */
const MAX_JOB_DATA_BYTES = 8 * 1024;

/** Our own faults are tried again, 0.2 s and 0.4 s later; bad images fail at once. */
const RETRIES = { attempts: 3, backoff: { type: 'exponential', delay: 200 } };

/** The BullMQ queue behind the port; whoever opened it closes it. */
export interface RedisCheckQueue extends CheckQueue {
  close(): Promise<void>;
}

/** Adds to and reads from BullMQ, over a connection that fails fast and stays the caller's. */
export function createRedisCheckQueue(redis: Redis, keys: Keys): RedisCheckQueue {
  const queue = new Queue<CheckJob, CheckResult>(CHECK_QUEUE, {
    connection: redis,
    prefix: keys.prefix,
    defaultJobOptions: { ...RETRIES, sizeLimit: MAX_JOB_DATA_BYTES },
    streams: { events: { maxLen: 1000 } },
  });
  // The connection reports its own errors; an unheard 'error' event would end the process.
  queue.on('error', () => undefined);

  /** A Queue waits for its first connection without a limit; a caller must not. */
  const reach = <T>(work: () => Promise<T>) =>
    reachRedis(async () => {
      if (redis.status !== 'ready') throw new Error(`connection is ${redis.status}`);
      return work();
    });

  return {
    async add(id, job) {
      await reach(() => queue.add('check', job, { jobId: id }));
    },
    readOutcome: (id) => reach(() => readOutcome(queue, id)),
    countWaiting: () => reach(() => queue.getJobCountByTypes('waiting', 'prioritized', 'delayed')),
    readSchemaVersion: () =>
      reach(async () => {
        const version = await redis.get(keys.schema);
        if (version !== null) return Number(version);
        await redis.setnx(keys.schema, SCHEMA_VERSION);
        return Number(await redis.get(keys.schema));
      }),
    close: () => queue.close(),
  };
}

async function readOutcome(
  queue: Queue<CheckJob, CheckResult>,
  id: string,
): Promise<CheckOutcome | undefined> {
  const job = await queue.getJob(id);
  if (!job?.finishedOn) return undefined;
  if (!job.failedReason) return { result: job.returnvalue };
  return { error: isErrorCode(job.failedReason) ? job.failedReason : 'internal_error' };
}
