import {
  CHECK_QUEUE,
  createCountReturn,
  type AnnouncedCheck,
  type CheckJob,
  type Log,
} from '@livegate/core';
import { DelayedError, UnrecoverableError, type Job } from 'bullmq';

/** A check that was given back is offered again after this, and each further time as much later, ... */
const RETURN_MS = 200;
/** ... up to this: old workers alone must not keep Redis busy, nor a new one wait for long. */
const MAX_RETURN_MS = 5000;

export interface GiveBackOptions {
  /** Of the checks that this worker reads, for the log. */
  jobVersions: readonly number[];
  imageLifeSeconds: number;
  log: Log;
}

export interface GiveBackDeps {
  /** Called before a check ends. */
  announce(check: AnnouncedCheck): Promise<void>;
}

/** Always rejects: that is how BullMQ is told that a job has not been done. */
export type GiveBack = (job: Job<CheckJob>, token?: string) => Promise<never>;

/**
 * For checks of a version that this worker does not read, as it meets them while an update is rolled
 * out. They go back into the queue for a worker that does, and no attempt is counted. That ends with the
 * image, without which no worker could answer.
 */
export function createGiveBack(options: GiveBackOptions, { announce }: GiveBackDeps): GiveBack {
  const { jobVersions, imageLifeSeconds, log } = options;
  const countReturn = createCountReturn(CHECK_QUEUE);

  return async (job, token) => {
    const { id = '', data, timestamp, attemptsStarted } = job;
    if (Date.now() - timestamp > imageLifeSeconds * 1000) {
      await announce({ ...data, id });
      throw new UnrecoverableError('image_expired');
    }
    countReturn();
    const facts = { requestId: id, jobVersion: data.version, jobVersions };
    // Once, whoever else gives it back: a line for each time would be thousands.
    if (attemptsStarted === 1) log.warn(facts, 'check given back: of a version not read here');
    await job.moveToDelayed(Date.now() + waitMs(attemptsStarted), token);
    throw new DelayedError();
  };
}

function waitMs(attemptsStarted: number): number {
  return Math.min(RETURN_MS * attemptsStarted, MAX_RETURN_MS);
}
