import {
  asRefusal,
  type CheckJob,
  type CheckOutcome,
  type CheckResult,
  isStoreFailure,
  LivegateError,
  readRefusal,
  writeRefusal,
} from '@livegate/core/domain';
import { type AnnouncedCheck, CHECK_QUEUE } from '@livegate/core/ports';
import type { Keys, Redis } from '@livegate/core/redis';
import { createCountRequeue, type Log } from '@livegate/core/telemetry';
import { type Job, UnrecoverableError, Worker, type WorkerOptions } from 'bullmq';
import { createObserveChecks, createTraceJobs } from '../telemetry/observe-checks.js';
import type { CheckImage } from './check-image.js';
import type { EndedCheck } from './finish-check.js';
import { createRequeue } from './requeue.js';

/**
 * A killed worker's jobs are taken over after 5 to 20 s, within a caller's wait. A lock is renewed every
 * half of it, and BullMQ's key that keeps workers from looking twice may outlast the next look.
 */
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
  finish(ended: EndedCheck): Promise<'kept' | 'deleted'>;
  /** Called when the job of an deleted check has been removed. */
  forget(id: string): Promise<void>;
}

/** Takes jobs from BullMQ until closed; closing waits for the jobs already taken. */
export function takeJobs(options: TakeJobsOptions, deps: TakeJobsDeps) {
  const { redis, log } = options;
  const finishing = new Set<Promise<void>>();
  const observed = createObserveChecks();
  const traced = createTraceJobs();
  const takeJob = createTakeJob(options, deps, { observed, traced });
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

interface Observers {
  observed: ReturnType<typeof createObserveChecks>;
  traced: ReturnType<typeof createTraceJobs>;
}

/** What BullMQ calls with each job. */
function createTakeJob(
  options: TakeJobsOptions,
  deps: TakeJobsDeps,
  { observed, traced }: Observers,
) {
  const { jobVersions, log } = options;
  const requeue = createRequeue(options, deps);
  const noteUnread = createNoteUnread(options);
  return async (job: Job<CheckJob>, token?: string) => {
    if (!jobVersions.includes(job.data.version)) {
      noteUnread(job);
      return requeue(job, token);
    }
    observed.taken(job);
    try {
      return await traced.process(job, () => runCheck(job, deps, log));
    } catch (error) {
      if (!isStoreFailure(error)) throw error;
      observed.retried();
      log.warn({ requestId: job.id, err: error }, 'check requeued: Redis failed');
      return requeue(job, token);
    }
  };
}

/** For checks of a version that this worker does not read, while an update is rolled out. */
function createNoteUnread({ jobVersions, log }: TakeJobsOptions) {
  const countRequeue = createCountRequeue(CHECK_QUEUE);

  return ({ id, data, attemptsStarted }: Job<CheckJob>) => {
    countRequeue();
    const facts = { requestId: id, jobVersion: data.version, jobVersions };
    // Once, whoever else gives it back: a line for each time would be thousands.
    if (attemptsStarted === 1) log.warn(facts, 'check given back: of a version not read here');
  };
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

/** What is asked of a job between its taking and its end. */
export type TakenJob = Pick<
  Job<CheckJob>,
  'id' | 'data' | 'attemptsMade' | 'stalledCounter' | 'progress' | 'updateProgress' | 'remove'
>;

/** One attempt. Rejects with what BullMQ is to make of it: a refusal, or a fault that is retried. */
export async function runCheck(
  job: TakenJob,
  deps: Pick<TakeJobsDeps, 'checkImage' | 'announce'>,
  log: Log,
): Promise<CheckResult> {
  const id = requireId(job);
  const announce = () => deps.announce({ id, ...job.data });
  try {
    requireHarmless(job);
    const suspicion = job.stalledCounter > 0 && { beforeRun: () => markRun(job) };
    const check = { id, takenAt: performance.now(), beforeResult: announce, ...suspicion };
    return await deps.checkImage(check);
  } catch (error) {
    if (isStoreFailure(error)) throw error;
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
async function markRun(job: TakenJob): Promise<void> {
  try {
    await job.updateProgress(RUNNING_ALONE);
  } catch (cause) {
    throw new LivegateError('unavailable', { detail: 'the run cannot be noted', cause });
  }
}

const RUNNING_ALONE = 'running alone';

function requireHarmless(job: TakenJob): void {
  if (job.progress !== RUNNING_ALONE || job.attemptsMade > 0) return;
  throw new UnrecoverableError('internal_error');
}

/** What follows once the queue holds how the check ended. */
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
