import { type AnnouncedCheck, type CheckJob, type Log } from '@livegate/core';
import { DelayedError, UnrecoverableError, type Job } from 'bullmq';

/** A check that was given back is offered again after this, and each further time as much later, ... */
const RETURN_MS = 200;
/** ... up to this: old workers alone must not keep Redis busy, nor a new one wait for long. */
const MAX_RETURN_MS = 5000;

export interface GiveBackOptions {
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
 * For checks that fail here by no fault of their own nor of a model: they go back into the queue, and no
 * attempt is counted. That ends with the image, without which no worker could answer.
 */
export function createGiveBack(options: GiveBackOptions, { announce }: GiveBackDeps): GiveBack {
  const { imageLifeSeconds, log } = options;

  return async (job, token) => {
    const { id = '', data, timestamp, attemptsStarted } = job;
    if (Date.now() - timestamp > imageLifeSeconds * 1000) {
      await attempt(announce({ ...data, id }), id, 'check not announced');
      throw new UnrecoverableError('image_expired');
    }
    const at = Date.now() + waitMs(attemptsStarted);
    // If that fails, too, the lock of the job lapses, and it is taken over as from a dead worker.
    await attempt(job.moveToDelayed(at, token), id, 'check not requeued');
    throw new DelayedError();
  };

  async function attempt(work: Promise<void>, id: string, failure: string): Promise<void> {
    await work.catch((error: unknown) => log.warn({ requestId: id, err: error }, failure));
  }
}

function waitMs(attemptsStarted: number): number {
  return Math.min(RETURN_MS * attemptsStarted, MAX_RETURN_MS);
}
