import type { CheckJob } from '@livegate/core/domain';
import type { AnnouncedCheck } from '@livegate/core/ports';
import type { Log } from '@livegate/core/telemetry';
import { DelayedError, type Job, UnrecoverableError } from 'bullmq';

/** A check that was given back is offered again after this, and each further time as much later, ... */
const REQUEUE_MS = 200;
/** ... up to this: old workers alone must not keep Redis busy, nor a new one wait for long. */
const MAX_REQUEUE_MS = 5000;

export interface RequeueOptions {
  imageLifeSeconds: number;
  log: Log;
}

export interface RequeueDeps {
  /** Called before a check ends. */
  announce(check: AnnouncedCheck): Promise<void>;
}

/** Always rejects: that is how BullMQ is told that a job has not been done. */
export type Requeue = (job: Job<CheckJob>, token?: string) => Promise<never>;

/**
 * For checks that fail here by no fault of their own nor of a model: they go back into the queue, and no
 * attempt is counted. That ends with the image, without which no worker could answer.
 */
export function createRequeue(options: RequeueOptions, { announce }: RequeueDeps): Requeue {
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
  return Math.min(REQUEUE_MS * attemptsStarted, MAX_REQUEUE_MS);
}
