import type { Job, Queue } from 'bullmq';
import type { CheckJob, CheckResult } from '../domain/check.js';
import type { ErasableCheck } from '../ports.js';
import { forgetErased, requestErasure, type CancellationOptions } from './cancellations.js';

type CheckQueueJob = Job<CheckJob, CheckResult>;

/** Erases jobs of the queue; a running one is only hidden, and removed by its worker. */
export function createErasures(queue: Queue<CheckJob, CheckResult>, options: CancellationOptions) {
  const { redis, keys } = options;

  return {
    hide: (id: string) => requestErasure(options, id),
    async erase(id: string): Promise<void> {
      await requestErasure(options, id);
      // Where a worker has the job, removing it fails; the worker removes it when it ends.
      const removed = await queue.remove(id);
      if (removed > 0) await forgetErased(redis, keys, id);
    },
    async listHidden(): Promise<ErasableCheck[]> {
      const ids = await redis.smembers(keys.erasing);
      const jobs = await Promise.all(ids.map((id) => queue.getJob(id)));
      const gone = ids.filter((_, index) => !jobs[index]);
      await Promise.all(gone.map((id) => forgetErased(redis, keys, id)));
      return jobs.filter((job) => job !== undefined).map(describeErasable);
    },
  };
}

/** What leads from a check to the rest of what is kept about it. */
export function describeErasable({ id = '', data }: CheckQueueJob): ErasableCheck {
  const { tenant, webhookUrl, keySha256 } = data;
  return {
    id,
    tenant,
    ...(webhookUrl !== undefined && { webhookUrl }),
    ...(keySha256 !== undefined && { keySha256 }),
  };
}
