import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { type CheckJob, readRefusal } from '@livegate/core/domain';
import type { WebhookJob } from '@livegate/core/ports';
import type { StoredResult } from '@livegate/core/redis';

type BoardJob = Awaited<ReturnType<BullMQAdapter['getJobs']>>[number];

/**
 * Limits what a queue shows of its jobs to what a log line may contain: results contain a person's score,
 * webhook jobs contain URLs with tenants' secrets, and error messages may quote anything.
 */
export function redactJobs(queue: BullMQAdapter): BullMQAdapter {
  const read = { one: queue.getJob.bind(queue), many: queue.getJobs.bind(queue) };
  return Object.assign(queue, {
    async getJob(id: string) {
      const job = await read.one(id);
      return job && redact(job);
    },
    async getJobs(...which: Parameters<typeof read.many>) {
      return (await read.many(...which)).map(redact);
    },
  });
}

/** The board renders a job from its `toJSON`. */
function redact(job: BoardJob): BoardJob {
  const { opts, returnvalue } = job;
  const shown = {
    ...pickFacts(job),
    opts: { attempts: opts.attempts, backoff: opts.backoff },
    data: showData(job.data),
    returnvalue: returnvalue && summarize(returnvalue),
    ...showFailure(job),
    stacktrace: [],
  };
  return Object.assign(job, { toJSON: () => shown });
}

function pickFacts(job: BoardJob) {
  const { id, name, progress, attemptsMade, attemptsStarted, stalledCounter, delay } = job;
  const { timestamp, processedOn, finishedOn } = job;
  const counts = { attemptsMade, attemptsStarted, stalledCounter, delay };
  return { id, name, progress, ...counts, timestamp, processedOn, finishedOn };
}

function showData(data: CheckJob | WebhookJob): object {
  if (!('kind' in data)) {
    const { version, tenant, imageBytes } = data;
    return { version, tenant, imageBytes };
  }
  if (data.kind === 'deliver') return { kind: data.kind, deliveryId: data.deliveryId };
  const { id, tenant } = data.check;
  return { kind: data.kind, check: { id, tenant } };
}

/** The class of the verdict but not its score. */
function summarize({ verdict, timings }: StoredResult): object {
  return { outcome: verdict.result.status, ...timings };
}

/** For failed jobs only: one that succeeded or is retried keeps the reason of an earlier attempt. */
function showFailure({ finishedOn, returnvalue, failedReason }: BoardJob): object {
  if (!finishedOn || returnvalue) return {};
  return { failedReason: readRefusal(failedReason).error };
}
