import { type Job, type JobsOptions, Queue } from 'bullmq';
import {
  type CheckJob,
  type CheckOutcome,
  type CheckRecord,
  type CheckResult,
  type JobState,
  SCHEMA_VERSION,
  statusOf,
} from '../domain/check.js';
import { readRefusal } from '../domain/errors.js';
import { CHECK_QUEUE, WEBHOOK_QUEUE, type CheckQueue } from '../ports.js';
import { traceSend } from '../telemetry/traces.js';
import {
  createDeletions,
  describeDeletable,
  readCancellations,
  requestCancellation,
} from './cancellations.js';
import { reachRedis, type Redis } from './connection/connect.js';
import { type Keys } from './keys.js';

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
  prioritizeOld(): Promise<void>;
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
  const deletions = createDeletions(queue, options);
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
          queue.add('check', job, { jobId: id, ...priorityOf(job), ...withCarrier(carrier) }),
        ),
      );
    },
    read: (id) => reach(() => readCheck(queue, options, id)),
    cancel: (id) => reach(() => requestCancellation(options, id)),
    hide: (id) => reach(() => deletions.hide(id)),
    delete: (id) => reach(() => deletions.delete(id)),
    listHidden: () => reach(deletions.listHidden),
    prioritize: (id) => reach(async () => prioritize(await queue.getJob(id))),
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
    prioritizeOld: () => reach(() => prioritizeOld(queue)),
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
  if (!job || cancellation === 'deleted' || isExpired(job, resultLifeSeconds)) return undefined;
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
    ...describeDeletable(job),
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

/** BullMQ takes all jobs without a priority before the first that has one. */
const LOW_PRIORITY = { priority: 1 };

/** So long does a check that nobody waits for let those pass that somebody waits for. */
const MAX_LOW_PRIORITY_MS = 60_000;
/** Looked at in one step, which holds up Redis meanwhile. */
const MAX_PRIORITIZED = 200;

/** For `queue.add`. */
export function priorityOf({ replyTo }: CheckJob): JobsOptions {
  return replyTo === undefined ? LOW_PRIORITY : {};
}

/** From now on it has the turn of one that somebody waits for, behind those that have it already. */
export async function prioritize(job: Job | undefined): Promise<void> {
  if (!job?.priority) return;
  // It may have ended and been deleted just now.
  await job.changePriority({ priority: 0 }).catch(() => undefined);
}

/** Without this, waiting callers without an end would keep the others for as long. */
export async function prioritizeOld(queue: Queue): Promise<void> {
  const oldest = await queue.getJobs(['prioritized'], 0, MAX_PRIORITIZED - 1, true);
  const isOld = ({ timestamp }: Job) => timestamp + MAX_LOW_PRIORITY_MS < Date.now();
  await Promise.all(oldest.filter(isOld).map(prioritize));
}

/** Of jobs that have not ended; `delayed` ones wait for a next attempt, `active` ones are in work. */
export const backlogStates = ['waiting', 'prioritized', 'active', 'delayed'] as const;

export interface BacklogPart {
  state: (typeof backlogStates)[number];
  depth: number;
  /** Since the one at the head of the state was first queued; 0 where there is none. */
  oldestAgeMs: number;
}

/** Resolves with one part for each state. */
export type ReadBacklog = () => Promise<BacklogPart[]>;

export function createReadBacklog(queue: Queue): ReadBacklog {
  return async () => {
    const depths = await queue.getJobCounts(...backlogStates);
    return Promise.all(
      backlogStates.map(async (state) => {
        const depth = depths[state] ?? 0;
        const [oldest] = depth > 0 ? await queue.getJobs([state], 0, 0, true) : [];
        // It may have moved on between the two commands.
        const oldestAgeMs = oldest ? Math.max(0, Date.now() - oldest.timestamp) : 0;
        return { state, depth, oldestAgeMs };
      }),
    );
  };
}

/**
 * Where a job carries the identity of who sent it: BullMQ's own place for that, which it keeps over
 * retries, and not the job's data, which is not about traces.
 *
 * BullMQ's own spans are off: they hold a job's result, which is a person's score.
 */
export function withCarrier(carrier: string | undefined) {
  return carrier === undefined ? {} : { telemetry: { metadata: carrier } };
}
