import type { CheckJob, CheckOutcome } from '@livegate/core/domain';
import type {
  AnnouncedCheck,
  Cancellation,
  Cancellations,
  ImageStore,
  ReplyOutbox,
} from '@livegate/core/ports';
import type { Log } from '@livegate/core/telemetry';

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
 * What follows once the queue holds the outcome: reply, delete the image, announce, write the one log
 * line. Resolves to `deleted` when the check itself was to be deleted, too.
 *
 * It never throws. A waiting gateway also reads the queue, so a lost reply is a late one; an image that
 * could not be deleted expires.
 */
export async function finishCheck(
  ended: EndedCheck,
  deps: FinishCheckDeps,
): Promise<'kept' | 'deleted'> {
  const { id, job, attempts } = ended;
  const log = deps.log.child({ requestId: id, tenant: job.tenant });
  const cancellation = await deps.cancellations
    .find([id])
    .catch(() => new Map<string, Cancellation>());
  // Marked in the last moment, after its result had been decided: cancelled all the same.
  const outcome: CheckOutcome = cancellation.has(id) ? { error: 'canceled' } : ended.outcome;
  const steps = await Promise.allSettled([
    deps.replies.send(id, outcome, job.replyTo),
    deps.imageStore.delete(id),
    cancellation.get(id) !== 'deleted' && deps.announce({ id, ...job }),
  ]);
  for (const step of steps) {
    if (step.status === 'rejected') log.warn({ err: step.reason }, 'finishing was incomplete');
  }
  const facts = { attempts, imageBytes: job.imageBytes };
  if ('error' in outcome) log.info({ ...facts, outcome: outcome.error }, 'check failed');
  // Not even the class of its verdict: a log would keep that of a check that is deleted.
  else log.info({ ...facts, outcome: 'verdict', ...outcome.result.timings }, 'check done');
  return cancellation.get(id) === 'deleted' ? 'deleted' : 'kept';
}
