import {
  asRefusal,
  CHECK_QUEUE,
  readRefusal,
  writeRefusal,
  type CheckJob,
  type CheckOutcome,
  type AnnouncedCheck,
  type CheckResult,
  type Keys,
  type Log,
  type Redis,
} from '@livegate/core';
import { UnrecoverableError, Worker, type Job, type WorkerOptions } from 'bullmq';
import type { CheckImage } from './check-image.js';
import type { EndedCheck } from './finish-check.js';
import { createGiveBack } from './give-back.js';
import { createObserveChecks } from './telemetry/observe-checks.js';
import { createTraceJobs } from './telemetry/trace-jobs.js';

/** A killed worker's jobs are taken over after at most lock + interval, within a caller's wait. */
const LOCK_MS = 10_000;
const STALLED_CHECK_MS = 5000;
/** Whoever was held by so many workers as they died is not given to another one. */
const MAX_STALLS = 4;

export interface TakeJobsOptions {
  redis: Redis;
  keys: Keys;
  /** How many jobs this process holds at once, in the engines and on their way there. */
  concurrency: number;
  /** Versions of the checks that this worker reads; others are for other workers. */
  jobVersions: readonly number[];
  imageLifeSeconds: number;
  /** How long a finished job stays readable, in seconds. */
  resultLifeSeconds: number;
  log: Log;
}

export interface TakeJobsDeps {
  checkImage: CheckImage;
  /** Called before a check ends: what must follow even if this worker dies right then. */
  announce(check: AnnouncedCheck): Promise<void>;
  /** Called once for each ended check, and rarely again after a crash: must be idempotent. */
  finish(ended: EndedCheck): Promise<'kept' | 'erased'>;
}

/** Takes jobs from BullMQ until closed; closing waits for the jobs already taken. */
export function takeJobs(options: TakeJobsOptions, deps: TakeJobsDeps) {
  const { redis, jobVersions, log } = options;
  const finishing = new Set<Promise<void>>();
  const observed = createObserveChecks();
  const traced = createTraceJobs();
  const giveBack = createGiveBack(options, deps);
  const takeJob = (job: Job<CheckJob>, token?: string) => {
    if (!jobVersions.includes(job.data.version)) return giveBack(job, token);
    observed.taken(job);
    return traced.process(job, () => runCheck(job, deps, log));
  };
  const worker = new Worker<CheckJob, CheckResult>(CHECK_QUEUE, takeJob, describeWorker(options));

  worker.on('completed', (job, result) => end(job, { result }));
  worker.on('failed', (job, error) => {
    // Without `finishedOn` the job is only waiting for its next attempt.
    if (job?.finishedOn) end(job, readRefusal(error.message));
    else observed.retried();
  });
  worker.on('stalled', observed.stalled);
  worker.on('error', (error) => {
    // While the connection is down it says so itself, once.
    if (redis.status === 'ready') log.warn({ err: error }, 'queue trouble');
  });

  return {
    async close() {
      // Without Redis no job can end, so there is nothing to wait for: others will take them over.
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
      .catch((error: unknown) => log.error({ err: error }, 'finishing failed'))
      .finally(() => finishing.delete(tracked));
    finishing.add(tracked);
  }
}

function describeWorker(options: TakeJobsOptions): WorkerOptions {
  const { redis, keys, concurrency, resultLifeSeconds } = options;
  return {
    connection: redis,
    prefix: keys.prefix,
    concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_CHECK_MS,
    maxStalledCount: MAX_STALLS,
    removeOnComplete: { age: resultLifeSeconds },
    removeOnFail: { age: resultLifeSeconds },
  };
}

async function runCheck(job: Job<CheckJob>, deps: TakeJobsDeps, log: Log): Promise<CheckResult> {
  const id = requireId(job);
  const announce = () => deps.announce({ id, ...job.data });
  try {
    requireHarmless(job);
    const suspicion = job.stalledCounter > 0 && { beforeRun: () => markRun(job) };
    const check = { id, takenAt: performance.now(), beforeResult: announce, ...suspicion };
    return await deps.checkImage(check);
  } catch (error) {
    await announce();
    // A refusal becomes the job's `failedReason`; only our own faults are tried again.
    const refusal = asRefusal(error);
    if (refusal) throw new UnrecoverableError(writeRefusal(refusal));
    log.error({ requestId: id, attempt: job.attemptsMade + 1, err: error }, 'attempt failed');
    throw error;
  }
}

/**
 * A worker that dies leaves all the jobs it held under suspicion. Each of them then runs alone, with a
 * note of that; one that is found with the note is what killed the worker, and is not run again.
 */
async function markRun(job: Job<CheckJob>): Promise<void> {
  await job.updateProgress(RUNNING_ALONE);
}

const RUNNING_ALONE = 'running alone';

function requireHarmless(job: Job<CheckJob>): void {
  if (job.progress !== RUNNING_ALONE || job.attemptsMade > 0) return;
  throw new UnrecoverableError('internal_error');
}

async function endCheck(
  job: Job<CheckJob>,
  outcome: CheckOutcome,
  { finish }: TakeJobsDeps,
): Promise<void> {
  const id = job.id ?? '';
  const fate = await finish({ id, job: job.data, outcome, attempts: job.attemptsMade });
  if (fate === 'erased') await job.remove();
}

function requireId({ id }: Job): string {
  if (id === undefined) throw new UnrecoverableError('a job without an id');
  return id;
}
