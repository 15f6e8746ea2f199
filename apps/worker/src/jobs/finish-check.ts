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
 * Runs after the queue has stored the outcome: replies, deletes the image, announces the check,
 * writes its log line. Resolves to `deleted` if the check was deleted while it ran.
 *
 * Never throws. A waiting gateway also polls the queue, so a lost reply is only late, and an image
 * that could not be deleted expires.
 */
export async function finishCheck(
  ended: EndedCheck,
  deps: FinishCheckDeps,
): Promise<'kept' | 'deleted'> {
  const { id, job, attempts } = ended;
  const log = deps.log.child({ requestId: id, tenant: job.tenant });
  const found = await deps.cancellations.find([id]).catch((error: unknown) => ({ error }));
  const cancellation = 'error' in found ? new Map<string, Cancellation>() : found;
  // A check that was canceled after its result was decided still ends as canceled.
  const outcome: CheckOutcome = cancellation.has(id) ? { error: 'canceled' } : ended.outcome;
  const steps = await Promise.allSettled([
    // The outcome that waiting gateways read from the queue counts a cancellation.
    'error' in found
      ? Promise.reject(found.error as Error)
      : deps.replies.send(id, outcome, job.replyTo),
    deps.imageStore.delete(id),
    cancellation.get(id) !== 'deleted' && deps.announce({ id, ...job }),
  ]);
  for (const step of steps) {
    if (step.status === 'rejected')
      log.warn({ err: step.reason }, 'post-check cleanup partly failed');
  }
  const facts = { attempts, imageBytes: job.imageBytes };
  if ('error' in outcome) log.info({ ...facts, outcome: outcome.error }, 'check failed');
  // Without the verdict's status: the log would keep it after the check is deleted.
  else log.info({ ...facts, outcome: 'verdict', ...outcome.result.timings }, 'check done');
  return cancellation.get(id) === 'deleted' ? 'deleted' : 'kept';
}
