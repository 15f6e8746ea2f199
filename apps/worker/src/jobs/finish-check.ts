import type { CheckJob, CheckOutcome } from '@livegate/core/domain';
import type { ImageStore, ReplyOutbox, WebhookQueue } from '@livegate/core/ports';
import type { Log } from '@livegate/core/telemetry';

export interface FinishCheckDeps {
  replies: ReplyOutbox;
  imageStore: ImageStore;
  announce: WebhookQueue['announce'];
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
  const [reply, deletion] = await Promise.allSettled([
    deps.replies.send({ id, ...job }, ended.outcome),
    deps.imageStore.delete(id),
  ]);
  const found = reply.status === 'fulfilled' ? reply.value : undefined;
  const cancellation = found?.cancellation;
  // A check that was canceled after its result was decided still ends as canceled.
  const outcome: CheckOutcome = cancellation ? { error: 'canceled' } : ended.outcome;
  const isAnnounced = cancellation !== 'deleted';
  // An endpoint that was created during the check is found only now.
  const announcing = isAnnounced && deps.announce({ id, ...job }, found?.hasEndpoints);
  const [announcement] = await Promise.allSettled([announcing]);
  for (const [step, result] of Object.entries({ reply, deletion, announcement })) {
    if (result.status === 'rejected')
      log.warn({ err: result.reason, step }, 'post-check cleanup partly failed');
  }
  const facts = { attempts, imageBytes: job.imageBytes };
  if ('error' in outcome) log.info({ ...facts, outcome: outcome.error }, 'check failed');
  // Without the verdict's status: the log would keep it after the check is deleted.
  else log.info({ ...facts, outcome: 'verdict', ...outcome.result.timings }, 'check done');
  return isAnnounced ? 'kept' : 'deleted';
}
