import { type Job, Queue } from 'bullmq';
import {
  type CheckJob,
  type CheckOutcome,
  type CheckRecord,
  type JobState,
  SCHEMA_VERSION,
  statusOf,
} from '../../domain/check.js';
import { readRefusal } from '../../domain/errors.js';
import { CHECK_QUEUE, WEBHOOK_QUEUE, type CheckQueue } from '../../ports.js';
import { traceSend } from '../../telemetry/traces.js';
import {
  createDeletions,
  describeDeletable,
  type CancellationMark,
  readMark,
  requestCancellation,
} from './cancellations.js';
import { reachRedis, type Redis } from '../connection/connect.js';
import { type Keys } from '../keys.js';
import { createRanks } from './ranks.js';
import { readResult, type StoredResult } from './stored-outcome.js';

/** Job data is ids and small facts, so a larger job is a bug. */
const MAX_JOB_DATA_BYTES = 8 * 1024;

/** Most jobs that one script removes; Redis runs no other command meanwhile. */
const MAX_SWEPT = 1000;

/** Our own faults are retried after 0.2 s and 0.4 s; bad images fail at once. */
const RETRIES = { attempts: 3, backoff: { type: 'exponential', delay: 200 } };

/**
 * Events contain ids and results, outlive their jobs, and no process reads them. BullMQ trims a
 * stream before it adds a job's last event, so the latest events stay until `dropEvents`.
 */
export const NO_EVENTS = { events: { maxLen: 0 } };

/** The worker logs the stack; in Redis it would be most of a failed job's bytes. */
export const NO_STACKS = { stackTraceLimit: 0 };

/** BullMQ's own type, for the queue board. */
export type BullQueue = Queue;

/** The port, and the upkeep of the BullMQ queue behind it. */
export interface RedisCheckQueue extends CheckQueue {
  bullQueue: BullQueue;
  /** Removes finished checks whose TTL has passed. */
  sweep(): Promise<void>;
  /** Deletes the BullMQ event streams of both queues. */
  dropEvents(): Promise<void>;
  readBacklog: ReadBacklog;
  close(): Promise<void>;
}

/** The caller opens and closes the connection. */
export interface RedisCheckQueueOptions {
  redis: Redis;
  keys: Keys;
  /** TTL of a finished check. */
  resultTtlSeconds: number;
}

type CheckQueueJob = Job<CheckJob, StoredResult>;

/** The check queue in BullMQ. `redis` must be a connection that fails fast. */
export function createRedisCheckQueue(options: RedisCheckQueueOptions): RedisCheckQueue {
  const { redis, keys, resultTtlSeconds } = options;
  const queue = new Queue<CheckJob, StoredResult>(CHECK_QUEUE, {
    connection: redis,
    prefix: keys.prefix,
    defaultJobOptions: { ...RETRIES, ...NO_STACKS, sizeLimit: MAX_JOB_DATA_BYTES },
    streams: NO_EVENTS,
  });
  const deletions = createDeletions(queue, options);
  // `reportOutages` logs connection errors; without a listener, an 'error' event ends the process.
  queue.on('error', () => undefined);

  /** A BullMQ Queue waits for its first connection without a limit; a caller must not. */
  const reach = <T>(work: () => Promise<T>) =>
    reachRedis(async () => {
      if (redis.status !== 'ready') throw new Error(`connection is ${redis.status}`);
      return work();
    });

  const ranks = createRanks(queue, options);

  return {
    bullQueue: queue,
    takeRank: (request) => reach(() => ranks.take(request)),
    async add(id, job, given) {
      const priority = given ?? (await reach(() => ranks.takeFor(job)));
      await traceSend({ system: 'bullmq', destination: CHECK_QUEUE, id }, (carrier) =>
        reach(() => queue.add('check', job, { jobId: id, priority, ...withCarrier(carrier) })),
      );
    },
    read: (id) => reach(() => readCheck(queue, options, id)),
    cancel: (id) => reach(() => requestCancellation(options, id)),
    hide: (id) => reach(() => deletions.hide(id)),
    delete: (id) => reach(() => deletions.delete(id)),
    listHidden: () => reach(deletions.listHidden),
    prioritize: (id) => reach(() => ranks.prioritize(id)),
    defer: (id, to) => reach(() => ranks.defer(id, to)),
    readFlows: () => reach(ranks.read),
    countWaiting: () => reach(() => queue.getJobCountByTypes('waiting', 'prioritized', 'delayed')),
    readSchemaVersion: () => reach(() => readSchemaVersion(redis, keys)),
    sweep: () => reach(() => sweep(queue, 1000 * resultTtlSeconds)),
    async dropEvents() {
      await reach(() => redis.unlink(keys.events(CHECK_QUEUE), keys.events(WEBHOOK_QUEUE)));
    },
    readBacklog: () => reach(createReadBacklog(queue)),
    close: () => queue.close(),
  };
}

async function sweep(queue: Queue, ttlMs: number): Promise<void> {
  await queue.clean(ttlMs, MAX_SWEPT, 'completed');
  await queue.clean(ttlMs, MAX_SWEPT, 'failed');
}

async function readCheck(
  queue: Queue<CheckJob, StoredResult>,
  options: RedisCheckQueueOptions,
  id: string,
): Promise<CheckRecord | undefined> {
  const { redis, keys, resultTtlSeconds } = options;
  const [job, value] = await Promise.all([queue.getJob(id), redis.get(keys.cancellation(id))]);
  const mark = readMark(value);
  if (!job || mark.cancellation === 'deleted' || isExpired(job, resultTtlSeconds)) return undefined;
  const state = await readState(job);
  // The check started or ended between two commands: read it again.
  if (!state) return readCheck(queue, options, id);
  return toRecord(job, state, mark);
}

async function readState(job: CheckQueueJob): Promise<JobState | undefined> {
  if (job.finishedOn) return endedWithResult(job) ? 'completed' : 'failed';
  const state = await job.getState();
  if (state === 'active') return job.processedOn ? 'running' : undefined;
  return state === 'completed' || state === 'failed' ? undefined : 'waiting';
}

function toRecord(job: CheckQueueJob, state: JobState, mark: CancellationMark): CheckRecord {
  const status = statusOf(state, mark.cancellation !== undefined);
  const { startedAt, finishedAt } = readTimes(job, mark);
  const outcome = status === 'canceled' ? ({ error: 'canceled' } as const) : readOutcome(job);
  return {
    ...describeDeletable(job),
    status,
    createdAt: job.timestamp,
    ...(startedAt !== undefined && status !== 'queued' && { startedAt }),
    ...(finishedAt !== undefined && { finishedAt }),
    ...(job.data.baseUrl !== undefined && { baseUrl: job.data.baseUrl }),
    ...(job.data.sid !== undefined && { sid: job.data.sid }),
    ...(job.data.qualityPolicy !== undefined && { qualityPolicy: job.data.qualityPolicy }),
    ...(outcome && { outcome }),
  };
}

/** A worker takes a canceled check only to drop it, which is neither its start nor its end. */
function readTimes({ processedOn, finishedOn }: CheckQueueJob, { endedAt }: CancellationMark) {
  const hasRun = processedOn !== undefined && (endedAt === undefined || processedOn < endedAt);
  return { startedAt: hasRun ? processedOn : undefined, finishedAt: endedAt ?? finishedOn };
}

function readOutcome(job: CheckQueueJob): CheckOutcome | undefined {
  const { finishedOn, failedReason, returnvalue } = job;
  if (!finishedOn) return undefined;
  if (endedWithResult(job)) return { result: readResult(returnvalue) };
  return readRefusal(failedReason);
}

/**
 * BullMQ sets the return value in the script that completes a job. `failedReason` proves nothing: a
 * completed job keeps the one of an earlier attempt.
 */
function endedWithResult({ returnvalue }: Pick<Job, 'returnvalue'>): boolean {
  return returnvalue !== null;
}

/** BullMQ removes an expired job only when another job finishes. */
function isExpired({ finishedOn }: CheckQueueJob, ttlSeconds: number): boolean {
  return finishedOn !== undefined && finishedOn + ttlSeconds * 1000 < Date.now();
}

async function readSchemaVersion(redis: Redis, keys: Keys): Promise<number> {
  const version = await redis.get(keys.schema);
  if (version !== null) return Number(version);
  await redis.setnx(keys.schema, SCHEMA_VERSION);
  return Number(await redis.get(keys.schema));
}

/** BullMQ's states of unfinished jobs; a `delayed` job waits for its next attempt. */
export const backlogStates = ['waiting', 'prioritized', 'active', 'delayed'] as const;

export interface BacklogPart {
  state: (typeof backlogStates)[number];
  depth: number;
  /** Age of the first job in this state, since it was queued; 0 without jobs. */
  oldestAgeMs: number;
}

/** Resolves to one part for each state. */
export type ReadBacklog = () => Promise<BacklogPart[]>;

export function createReadBacklog(queue: Queue): ReadBacklog {
  return async () => {
    const depths = await queue.getJobCounts(...backlogStates);
    return Promise.all(
      backlogStates.map(async (state) => {
        const depth = depths[state] ?? 0;
        const [oldest] = depth > 0 ? await queue.getJobs([state], 0, 0, true) : [];
        // The job may have changed its state between the two commands.
        const oldestAgeMs = oldest ? Math.max(0, Date.now() - oldest.timestamp) : 0;
        return { state, depth, oldestAgeMs };
      }),
    );
  };
}

/**
 * Job options that carry the sender's trace context in BullMQ's own field for it, which retries
 * keep.
 *
 * BullMQ's own spans stay off: they contain a job's result, which is a person's score.
 */
export function withCarrier(carrier: string | undefined) {
  return carrier === undefined ? {} : { telemetry: { metadata: carrier } };
}
