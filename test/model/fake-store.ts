import { readRefusal } from '@livegate/core/domain';
import {
  createFakeCheckQueue,
  createFakeIdempotencyKeys,
  createFakeImageStore,
  createFakeReplies,
} from '@livegate/testing';
import { UnrecoverableError } from 'bullmq';
import type { TakenJob } from '../../apps/worker/src/jobs/take-jobs.js';
import type { Store, Taken } from './store.js';

const MAX_ATTEMPTS = 3;

export function createFakeStore(): Store {
  const queue = createFakeCheckQueue();
  const replies = createFakeReplies();
  const jobs = new Map<string, TakenJob>();

  return {
    queue,
    imageStore: createFakeImageStore(),
    idempotencyKeys: createFakeIdempotencyKeys(),
    outbox: replies.createOutbox(queue),
    createInbox: replies.createInbox,
    async takeNext() {
      const id = queue.takeNext();
      return id === undefined ? undefined : take(id);
    },
    expireResult: (id) => queue.delete(id),
    // The fakes wait only for promises.
    settle: () => new Promise((resolve) => setImmediate(resolve)),
    async requireNoTrace(id) {
      if (queue.jobs.has(id)) throw new Error(`${id} is still in the queue`);
    },
  };

  function take(id: string): Taken {
    const job = jobs.get(id) ?? createJob(id);
    job.data = queue.jobs.get(id)!;
    jobs.set(id, job);
    return {
      job,
      complete: async (result) => queue.finish(id, { result }),
      async fail(error) {
        job.attemptsMade += 1;
        const isEnd = error instanceof UnrecoverableError || job.attemptsMade === MAX_ATTEMPTS;
        if (isEnd) queue.finish(id, readRefusal(error.message));
        else queue.retry(id);
        return isEnd;
      },
      async stall() {
        job.stalledCounter += 1;
        queue.retry(id);
      },
    };
  }

  function createJob(id: string): TakenJob {
    const job: TakenJob = {
      id,
      data: queue.jobs.get(id)!,
      attemptsMade: 0,
      stalledCounter: 0,
      progress: 0,
      updateProgress: async (progress) => void (job.progress = progress),
      remove: () => queue.forget(id),
    };
    return job;
  }
}
