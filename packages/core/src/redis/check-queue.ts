import { Queue, type Job } from 'bullmq';
import type { Redis } from './connect.js';
import { statusOf, type CheckRecord, type JobState } from '../domain/check-record.js';
import {
  SCHEMA_VERSION,
  type CheckJob,
  type CheckOutcome,
  type CheckResult,
} from '../domain/check.js';
import { readRefusal } from '../domain/errors.js';
import type { CheckQueue } from '../ports.js';
import { traceSend } from '../telemetry/messages.js';
import { readCancellations, requestCancellation } from './cancellations.js';
import { withCarrier } from './carry-trace.js';
import { createErasures, describeErasable } from './erasures.js';
import { CHECK_QUEUE, WEBHOOK_QUEUE, type Keys } from './keys.js';
import { createReadBacklog, type ReadBacklog } from './read-backlog.js';
import { reachRedis } from './translate-errors.js';
import { hasten, hastenOld, turnOf } from './turns.js';

/** Job data holds ids and small facts; more than this in it is a bug. */
const MAX_JOB_DATA_BYTES = 8 * 1024;

/** Removed in one step, which holds up Redis meanwhile. */
const MAX_SWEPT = 1000;

/** Our own faults are tried again, 0.2 s and 0.4 s later; bad images fail at once. */
const RETRIES = { attempts: 3, backoff: { type: 'exponential', delay: 200 } };

/**
 * Events hold ids and results, outlive their jobs, and nobody reads them. BullMQ trims before it adds the
 * last of a job, so that the latest ones stay: hence `dropEvents`.
 */
export const NO_EVENTS = { events: { maxLen: 0 } };

/** The worker's log has the stack; in Redis it would be most of a failed job. */
export const NO_STACKS = { stackTraceLimit: 0 };

/** BullMQ's own, for a board that shows it. */
export type BullQueue = Queue;

/** The BullMQ queue behind the port; whoever opened it closes it. */
export interface RedisCheckQueue extends CheckQueue {
  bullQueue: BullQueue;
  /** Removes finished checks that have lived their time. */
  sweep(): Promise<void>;
  /** Deletes BullMQ's events of both queues. */
  dropEvents(): Promise<void>;
  /** Bounds how long checks that nobody waits for let others pass. */
  hastenOld(): Promise<void>;
  readBacklog: ReadBacklog;
  close(): Promise<void>;
}

/** What a queue works with; the connection stays the caller's. */
export interface RedisCheckQueueOptions {
  redis: Redis;
  keys: Keys;
  /** How long a finished check is known. */
  resultLifeSeconds: number;
}

type CheckQueueJob = Job<CheckJob, CheckResult>;

/** Adds to and reads from BullMQ, over a connection that fails fast and stays the caller's. */
export function createRedisCheckQueue(options: RedisCheckQueueOptions): RedisCheckQueue {
  const { redis, keys, resultLifeSeconds } = options;
  const queue = new Queue<CheckJob, CheckResult>(CHECK_QUEUE, {
    connection: redis,
    prefix: keys.prefix,
    defaultJobOptions: { ...RETRIES, ...NO_STACKS, sizeLimit: MAX_JOB_DATA_BYTES },
    streams: NO_EVENTS,
  });
  const erasures = createErasures(queue, options);
  // The connection reports its own errors; an unheard 'error' event would end the process.
  queue.on('error', () => undefined);

  /** A Queue waits for its first connection without a limit; a caller must not. */
  const reach = <T>(work: () => Promise<T>) =>
    reachRedis(async () => {
      if (redis.status !== 'ready') throw new Error(`connection is ${redis.status}`);
      return work();
    });

  return {
    bullQueue: queue,
    async add(id, job) {
      await traceSend({ system: 'bullmq', destination: CHECK_QUEUE, id }, (carrier) =>
        reach(() =>
          queue.add('check', job, { jobId: id, ...turnOf(job), ...withCarrier(carrier) }),
        ),
      );
    },
    read: (id) => reach(() => readCheck(queue, options, id)),
    cancel: (id) => reach(() => requestCancellation(options, id)),
    hide: (id) => reach(() => erasures.hide(id)),
    erase: (id) => reach(() => erasures.erase(id)),
    listHidden: () => reach(erasures.listHidden),
    hasten: (id) => reach(async () => hasten(await queue.getJob(id))),
    countWaiting: () => reach(() => queue.getJobCountByTypes('waiting', 'prioritized', 'delayed')),
    readSchemaVersion: () => reach(() => readSchemaVersion(redis, keys)),
    async sweep() {
      const lifeMs = resultLifeSeconds * 1000;
      await reach(() => queue.clean(lifeMs, MAX_SWEPT, 'completed'));
      await reach(() => queue.clean(lifeMs, MAX_SWEPT, 'failed'));
    },
    async dropEvents() {
      await reach(() => redis.unlink(keys.events(CHECK_QUEUE), keys.events(WEBHOOK_QUEUE)));
    },
    hastenOld: () => reach(() => hastenOld(queue)),
    readBacklog: () => reach(createReadBacklog(queue)),
    close: () => queue.close(),
  };
}

async function readCheck(
  queue: Queue<CheckJob, CheckResult>,
  options: RedisCheckQueueOptions,
  id: string,
): Promise<CheckRecord | undefined> {
  const { redis, keys, resultLifeSeconds } = options;
  const [job, cancellations] = await Promise.all([
    queue.getJob(id),
    readCancellations(redis, keys, [id]),
  ]);
  const cancellation = cancellations.get(id);
  if (!job || cancellation === 'erased' || isExpired(job, resultLifeSeconds)) return undefined;
  const state = await readState(job);
  // It began or ended between two commands, so what was read of it is out of date.
  if (!state) return readCheck(queue, options, id);
  return toRecord(job, state, cancellation !== undefined);
}

async function readState(job: CheckQueueJob): Promise<JobState | undefined> {
  if (job.finishedOn) return endedWithResult(job) ? 'completed' : 'failed';
  const state = await job.getState();
  if (state === 'active') return job.processedOn ? 'running' : undefined;
  return state === 'completed' || state === 'failed' ? undefined : 'waiting';
}

function toRecord(job: CheckQueueJob, state: JobState, cancelRequested: boolean): CheckRecord {
  const status = statusOf(state, cancelRequested);
  const outcome = status === 'canceled' ? ({ error: 'canceled' } as const) : readOutcome(job);
  return {
    ...describeErasable(job),
    status,
    createdAt: job.timestamp,
    ...(job.processedOn && status !== 'queued' && { startedAt: job.processedOn }),
    ...(job.finishedOn && { finishedAt: job.finishedOn }),
    ...(job.data.baseUrl !== undefined && { baseUrl: job.data.baseUrl }),
    ...(outcome && { outcome }),
  };
}

function readOutcome(job: CheckQueueJob): CheckOutcome | undefined {
  const { finishedOn, failedReason, returnvalue } = job;
  if (!finishedOn) return undefined;
  if (endedWithResult(job)) return { result: returnvalue };
  return readRefusal(failedReason);
}

/**
 * BullMQ sets the return value in the step that completes a job. `failedReason` does not tell how a job
 * ended: a completed job keeps that of an earlier attempt.
 */
function endedWithResult({ returnvalue }: Pick<Job, 'returnvalue'>): boolean {
  return returnvalue !== null;
}

/** BullMQ removes old jobs only when others finish. */
function isExpired({ finishedOn }: CheckQueueJob, lifeSeconds: number): boolean {
  return finishedOn !== undefined && finishedOn + lifeSeconds * 1000 < Date.now();
}

async function readSchemaVersion(redis: Redis, keys: Keys): Promise<number> {
  const version = await redis.get(keys.schema);
  if (version !== null) return Number(version);
  await redis.setnx(keys.schema, SCHEMA_VERSION);
  return Number(await redis.get(keys.schema));
}
