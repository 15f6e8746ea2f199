import type {
  AnnouncedCheck,
  Cancellation,
  Cancellations,
  CheckJob,
  CheckOutcome,
  ImageStore,
  Log,
  ReplyOutbox,
} from '@livegate/core';

export interface FinishCheckDeps {
  replies: ReplyOutbox;
  imageStore: ImageStore;
  cancellations: Cancellations;
  announce(check: AnnouncedCheck): Promise<void>;
  log: Log;
}

export interface EndedCheck {
  id: string;
  job: CheckJob;
  outcome: CheckOutcome;
  attempts: number;
}

/**
 * What follows once the queue holds the outcome: reply, erase the image, announce, write the one log
 * line. Resolves to `erased` when the check itself was to be erased, too.
 *
 * It never throws. A waiting gateway also reads the queue, so a lost reply is a late one; an image that
 * could not be erased expires.
 */
export async function finishCheck(
  ended: EndedCheck,
  deps: FinishCheckDeps,
): Promise<'kept' | 'erased'> {
  const { id, job, attempts } = ended;
  const log = deps.log.child({ requestId: id, tenant: job.tenant });
  const fate = await deps.cancellations.find([id]).catch(() => new Map<string, Cancellation>());
  // Marked in the last moment, after its result had been decided: cancelled all the same.
  const outcome: CheckOutcome = fate.has(id) ? { error: 'canceled' } : ended.outcome;
  const steps = await Promise.allSettled([
    deps.replies.send(id, outcome, job.replyTo),
    deps.imageStore.delete(id),
    fate.get(id) !== 'erased' && deps.announce({ id, ...job }),
  ]);
  for (const step of steps) {
    if (step.status === 'rejected') log.warn({ err: step.reason }, 'finishing was incomplete');
  }
  const facts = { attempts, imageBytes: job.imageBytes };
  if ('error' in outcome) log.info({ ...facts, outcome: outcome.error }, 'check failed');
  // Not even the class of its verdict: a log would keep that of a check that is deleted.
  else log.info({ ...facts, outcome: 'verdict', ...outcome.result.timings }, 'check done');
  return fate.get(id) === 'erased' ? 'erased' : 'kept';
}
