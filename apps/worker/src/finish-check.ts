import type { CheckJob, CheckOutcome, ImageStore, Log, ReplyOutbox } from '@livegate/core';

export interface FinishCheckDeps {
  replies: ReplyOutbox;
  imageStore: ImageStore;
  log: Log;
}

export interface EndedCheck {
  id: string;
  job: CheckJob;
  outcome: CheckOutcome;
  attempts: number;
}

/**
 * What follows once the queue holds the outcome: reply, erase the image, write the one log line.
 *
 * It never throws. A lost reply is made good by the gateway, which reads the queue when its wait
 * runs out; an image that could not be erased expires.
 */
export async function finishCheck(ended: EndedCheck, deps: FinishCheckDeps): Promise<void> {
  const { id, job, outcome, attempts } = ended;
  const log = deps.log.child({ requestId: id, tenant: job.tenant });
  const steps = await Promise.allSettled([
    deps.replies.send(job.replyTo, id, outcome),
    deps.imageStore.delete(id),
  ]);
  for (const step of steps) {
    if (step.status === 'rejected') log.warn({ err: step.reason }, 'finishing was incomplete');
  }
  const facts = { attempts, imageBytes: job.imageBytes };
  if ('error' in outcome) log.info({ ...facts, outcome: outcome.error }, 'check failed');
  else log.info({ ...facts, ...summarise(outcome.result) }, 'check done');
}

/** The class of the verdict but not its score: a log is not a place for a person's scores. */
function summarise({ verdict, timings }: Extract<CheckOutcome, { result: unknown }>['result']) {
  return { outcome: verdict.result.status, ...timings };
}
