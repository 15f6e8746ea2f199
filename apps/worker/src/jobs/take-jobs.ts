import {
  asRefusal,
  type CheckJob,
  type CheckOutcome,
  type CheckResult,
  isAsyncJob,
  isStoreFailure,
  LivegateError,
  readRefusal,
  toQueuedCheck,
  TYPICAL_WORK,
  writeRefusal,
} from '@livegate/core/domain';
import { CHECK_QUEUE, type WebhookQueue } from '@livegate/core/ports';
import { readResult, type StoredResult, writeResult } from '@livegate/core/redis';
import type { Keys, Redis } from '@livegate/core/redis';
import { createCountRequeue, type Log } from '@livegate/core/telemetry';
import { type Job, UnrecoverableError, Worker, type WorkerOptions } from 'bullmq';
import { createObserveChecks, createTraceJobs } from '../telemetry/observe-checks.js';
import type { CheckImage } from './check-image.js';
import type { EndedCheck } from './finish-check.js';
import { CheckPostponed, createRequeue } from './requeue.js';

/**
 * With these values BullMQ requeues a killed worker's jobs after 5 to 20 s, within a caller's wait:
 * a lock is renewed at half its time, and the key that limits searches for stalled jobs may still
 * exist at the next search, which is then skipped.
 */
const LOCK_MS = 10_000;
const STALLED_CHECK_MS = 5000;
/** Fail a job that was active in more than this many workers when they died. */
const MAX_STALLS = 4;

export interface TakeJobsOptions {
  redis: Redis;
  keys: Keys;
  /** Active jobs of this process at once, waiting for an engine or in one. */
  concurrency: number;
  /** Versions of jobs that this worker reads; it requeues other jobs. */
  jobVersions: readonly number[];
  imageTtlSeconds: number;
  /** TTL of a finished job. */
  resultTtlSeconds: number;
  log: Log;
}

export interface TakeJobsDeps {
  checkImage: CheckImage;
  /** Awaited before a check ends, so that its webhooks are sent even if this worker dies then. */
  announce: WebhookQueue['announce'];
  /** Called for each ended check, and after a crash a second time: must be idempotent. */
  finish(ended: EndedCheck): Promise<'kept' | 'deleted'>;
  /** Called when the job of a deleted check has been removed. */
  forget(id: string): Promise<void>;
}

/** Takes jobs from BullMQ until closed; closing waits for the jobs already taken. */
export function takeJobs(options: TakeJobsOptions, deps: TakeJobsDeps) {
  const { redis, log } = options;
  const finishing = new Set<Promise<void>>();
  const observed = createObserveChecks();
  const traced = createTraceJobs();
  const takeJob = createTakeJob(options, deps, { observed, traced });
  const worker = new Worker<CheckJob, StoredResult>(CHECK_QUEUE, takeJob, describeWorker(options));

  worker.on('completed', (job, result) => end(job, { result: readResult(result) }));
  worker.on('failed', (job, error) => {
    // Without `finishedOn`, the job waits for its next attempt.
    if (job?.finishedOn) end(job, readRefusal(error.message));
    else observed.retried();
  });
  worker.on('stalled', observed.stalled);
  worker.on('error', (error) => {
    // `reportOutages` logs a lost connection.
    if (redis.status === 'ready') log.warn({ err: error }, 'BullMQ worker error');
  });

  return {
    async close() {
      // Without Redis no job can end: do not wait, BullMQ requeues the jobs as stalled.
      await worker.close(redis.status !== 'ready');
      await Promise.all(finishing);
    },
  };

  function end(job: Job<CheckJob>, outcome: CheckOutcome): void {
    observed.ended(outcome);
    track(traced.follow(job, () => endCheck(job, outcome, deps)));
  }

  function track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => log.error({ err: error }, 'post-check cleanup failed'))
      .finally(() => finishing.delete(tracked));
    finishing.add(tracked);
  }
}

interface Observers {
  observed: ReturnType<typeof createObserveChecks>;
  traced: ReturnType<typeof createTraceJobs>;
}

/** The BullMQ processor, which is called with each job. */
function createTakeJob(
  options: TakeJobsOptions,
  deps: TakeJobsDeps,
  { observed, traced }: Observers,
) {
  const { jobVersions, log } = options;
  const requeue = createRequeue(options, deps);
  const reportUnsupported = createReportUnsupported(options);
  const reportRequeue = ({ id }: Job<CheckJob>, error: unknown) => {
    if (error instanceof CheckPostponed) return;
    observed.retried();
    log.warn({ requestId: id, err: error }, 'job requeued: Redis failed, or a key is missing');
  };
  return async (job: Job<CheckJob>, token?: string) => {
    if (!jobVersions.includes(job.data.version)) {
      reportUnsupported(job);
      return requeue(job, token);
    }
    observed.taken(job);
    try {
      return writeResult(await traced.process(job, () => runCheck(job, deps, log)));
    } catch (error) {
      if (!isRequeued(error)) throw error;
      reportRequeue(job, error);
      return requeue(job, token, error);
    }
  };
}

/** Neither is an attempt: the check itself has not failed. */
function isRequeued(error: unknown): boolean {
  return isStoreFailure(error) || error instanceof CheckPostponed;
}

/** Jobs of a version that this worker does not read occur during an update. */
function createReportUnsupported({ jobVersions, log }: TakeJobsOptions) {
  const countRequeue = createCountRequeue(CHECK_QUEUE);

  return ({ id, data, attemptsStarted }: Job<CheckJob>) => {
    countRequeue();
    const facts = { requestId: id, jobVersion: data.version, jobVersions };
    // Only at a job's first requeue, by any worker: a line for each requeue would be thousands.
    if (attemptsStarted === 1) log.warn(facts, 'job requeued: unsupported version');
  };
}

function describeWorker(options: TakeJobsOptions): WorkerOptions {
  const { redis, keys, concurrency, resultTtlSeconds } = options;
  return {
    connection: redis,
    prefix: keys.prefix,
    concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_CHECK_MS,
    maxStalledCount: MAX_STALLS,
    removeOnComplete: { age: resultTtlSeconds },
    removeOnFail: { age: resultTtlSeconds },
  };
}

/** The part of a BullMQ job that a check needs. */
export type TakenJob = Pick<
  Job<CheckJob>,
  'id' | 'data' | 'attemptsMade' | 'stalledCounter' | 'progress' | 'updateProgress' | 'remove'
> &
  Partial<Pick<Job, 'priority'>>;

/** One attempt. Rejects with an `UnrecoverableError` for a refusal, else with an error to retry. */
export async function runCheck(
  job: TakenJob,
  deps: Pick<TakeJobsDeps, 'checkImage' | 'announce'>,
  log: Log,
): Promise<CheckResult> {
  const id = requireId(job);
  const announce = (hasEndpoints?: boolean) => deps.announce({ id, ...job.data }, hasEndpoints);
  try {
    requireHarmless(job);
    const alone = job.stalledCounter > 0 && {
      beforeAlone: () => markRunAlone(job),
      afterAlone: () => unmarkRunAlone(job),
    };
    const { tenant, work = TYPICAL_WORK, weight = 1, isCallersOnly, replyTo } = job.data;
    const queued = toQueuedCheck({ tenant, isAwaited: !isAsyncJob(job.data), weight, ms: work });
    const share = { ...queued, rank: job.priority };
    const facts = { id, tenant, work, share, waiter: isCallersOnly && replyTo };
    const check = { ...facts, takenAt: performance.now(), beforeResult: announce };
    return await deps.checkImage({ ...check, ...alone });
  } catch (error) {
    if (isRequeued(error)) throw error;
    await announce();
    // A refusal becomes the job's `failedReason`; only our own faults are retried.
    const refusal = asRefusal(error);
    if (refusal) throw new UnrecoverableError(writeRefusal(refusal));
    log.error({ requestId: id, attempt: job.attemptsMade + 1, err: error }, 'attempt failed');
    throw error;
  }
}

/**
 * Any of a dead worker's active jobs may have killed it, so each of them then runs alone, after it
 * has been marked. A stalled job with this mark has killed its worker alone, and does not run
 * again.
 */
async function markRunAlone(job: TakenJob): Promise<void> {
  try {
    await job.updateProgress(RUNNING_ALONE);
  } catch (cause) {
    const detail = 'the job cannot be marked as running alone';
    throw new LivegateError('unavailable', { detail, cause });
  }
}

/**
 * The worker has survived the run. The job may still stall before its end is stored, because Redis
 * refuses the command or the worker is killed. It must then run again.
 */
async function unmarkRunAlone(job: TakenJob): Promise<void> {
  await job.updateProgress(0).catch(() => undefined);
}

const RUNNING_ALONE = 'running alone';

/** A failed attempt (`attemptsMade`) shows that the worker survived the run with the mark. */
function requireHarmless(job: TakenJob): void {
  if (job.progress !== RUNNING_ALONE || job.attemptsMade > 0) return;
  throw new UnrecoverableError('internal_error');
}

/** Runs after the queue has stored how the check ended. */
export async function endCheck(
  job: TakenJob,
  outcome: CheckOutcome,
  { finish, forget }: Pick<TakeJobsDeps, 'finish' | 'forget'>,
): Promise<void> {
  const id = job.id ?? '';
  const cancellation = await finish({ id, job: job.data, outcome, attempts: job.attemptsMade });
  if (cancellation !== 'deleted') return;
  await job.remove();
  await forget(id);
}

function requireId({ id }: TakenJob): string {
  if (id === undefined) throw new UnrecoverableError('a job without an id');
  return id;
}
