import type { CheckJob } from '@livegate/core/domain';
import type { AnnouncedCheck } from '@livegate/core/ports';
import type { Log } from '@livegate/core/telemetry';
import { DelayedError, type Job, UnrecoverableError } from 'bullmq';

/** Delay of the first requeue of a job. It grows by the same time with each further requeue. */
const REQUEUE_DELAY_MS = 200;
/** The longest delay: old workers must not keep Redis busy, nor a new worker wait for long. */
const MAX_REQUEUE_DELAY_MS = 5000;

export interface RequeueOptions {
  imageTtlSeconds: number;
  log: Log;
}

export interface RequeueDeps {
  /** Awaited before a check ends. */
  announce(check: AnnouncedCheck): Promise<void>;
}

/** The check cannot run now. It is requeued, and the attempt does not count: it has not failed. */
export class CheckPostponed extends Error {}

/** No slot for a large image is free, or another tenant is next. */
export class LargeImagesBusy extends CheckPostponed {
  /** To be called once the check waits in the queue: calls `wake` when its turn has come. */
  readonly awaitSlot: (wake: () => Promise<unknown>) => void;

  constructor(awaitSlot: LargeImagesBusy['awaitSlot']) {
    super('no slot for a large image is free');
    this.awaitSlot = awaitSlot;
  }
}

/** Always rejects, which is how a BullMQ processor reports a job that it has not done. */
export type Requeue = (job: Job<CheckJob>, token?: string, why?: unknown) => Promise<never>;

/**
 * Requeues a check that fails because of Redis or of this worker's version, without counting an
 * attempt. Once its image has expired, the check fails with `image_expired`.
 */
export function createRequeue(options: RequeueOptions, { announce }: RequeueDeps): Requeue {
  const { imageTtlSeconds, log } = options;

  return async (job, token, why) => {
    const { id = '', data, timestamp, attemptsStarted } = job;
    if (Date.now() - timestamp > imageTtlSeconds * 1000) {
      await attempt(announce({ ...data, id }), id, 'check not announced');
      throw new UnrecoverableError('image_expired');
    }
    const at = Date.now() + waitMs(attemptsStarted);
    // If this fails as well, the job's lock expires, and BullMQ requeues the stalled job.
    await attempt(job.moveToDelayed(at, token), id, 'check not requeued');
    // The delay has an end in case this worker dies.
    if (why instanceof LargeImagesBusy) why.awaitSlot(() => job.promote());
    throw new DelayedError();
  };

  async function attempt(work: Promise<void>, id: string, failure: string): Promise<void> {
    await work.catch((error: unknown) => log.warn({ requestId: id, err: error }, failure));
  }
}

function waitMs(attemptsStarted: number): number {
  return Math.min(REQUEUE_DELAY_MS * attemptsStarted, MAX_REQUEUE_DELAY_MS);
}
