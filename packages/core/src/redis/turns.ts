import type { Job, JobsOptions, Queue } from 'bullmq';
import type { CheckJob } from '../domain/check.js';

/** BullMQ takes all jobs without a priority before the first that has one. */
const YIELDS = { priority: 1 };

/** So long does a check that nobody waits for let those pass that somebody waits for. */
const MAX_YIELD_MS = 60_000;
/** Looked at in one step, which holds up Redis meanwhile. */
const MAX_HASTENED = 200;

/** For `queue.add`. */
export function turnOf({ replyTo }: CheckJob): JobsOptions {
  return replyTo === undefined ? YIELDS : {};
}

/** From now on it has the turn of one that somebody waits for, behind those that have it already. */
export async function hasten(job: Job | undefined): Promise<void> {
  if (!job?.priority) return;
  // It may have ended and been erased just now.
  await job.changePriority({ priority: 0 }).catch(() => undefined);
}

/** Without this, waiting callers without an end would keep the others for as long. */
export async function hastenOld(queue: Queue): Promise<void> {
  const oldest = await queue.getJobs(['prioritized'], 0, MAX_HASTENED - 1, true);
  const isOld = ({ timestamp }: Job) => timestamp + MAX_YIELD_MS < Date.now();
  await Promise.all(oldest.filter(isOld).map(hasten));
}
