import { type CheckResult, readRefusal } from '@livegate/core/domain';
import {
  createFakeCheckQueue,
  createFakeGatewayRegistry,
  createFakeIdempotencyKeys,
  createFakeImageStore,
  createFakeReplies,
  createFakeWebhookQueue,
  createFakeWebhookStore,
  createFakeWorkerRegistry,
} from '@livegate/testing';
import { UnrecoverableError } from 'bullmq';
import type { TakenJob } from '../../apps/worker/src/jobs/take-jobs.js';
import type { Process } from './network.js';

const MAX_ATTEMPTS = 3;
const BACKOFF_MS = 200;
/** When BullMQ finds that nobody renews the lock of a job. */
const STALLED_AFTER_MS = 10_000;

/** A job that a worker has taken; it may have lost its lock meanwhile. */
export interface Taken {
  job: TakenJob;
  complete(result: CheckResult): Promise<void>;
  /** False: the job waits for its next attempt. */
  fail(error: Error): Promise<boolean>;
  delay(ms: number): Promise<void>;
  /** Nobody renews the lock any more: the job becomes free, unless it has ended. */
  expire(): void;
}

/** What gateways and workers share: the fakes of Redis, and BullMQ's rules for jobs. */
export function createStore() {
  const plain = createFakeCheckQueue();
  const webhookStore = createFakeWebhookStore();
  const webhooks = createFakeWebhookQueue(webhookStore);
  const replies = createFakeReplies();
  const hasEndpoints = async (tenant: string) =>
    (await webhookStore.listEndpoints(tenant)).length > 0;
  const jobs = new Map<string, TakenJob>();
  /** Who holds the lock of a job. */
  const locks = new Map<string, object>();
  const listeners = new Set<() => void>();
  const notify = () => listeners.forEach((listen) => listen());

  const queue = {
    ...plain,
    async add(...args: Parameters<typeof plain.add>) {
      await plain.add(...args);
      notify();
    },
  };
  return {
    queue,
    ids: () => [...plain.jobs.keys()],
    imageStore: createFakeImageStore(),
    idempotencyKeys: createFakeIdempotencyKeys(),
    registry: createFakeWorkerRegistry(),
    replies: { ...replies, outbox: replies.createOutbox({ find: plain.find, hasEndpoints }) },
    gateways: createFakeGatewayRegistry(),
    hasEndpoints,
    webhookStore,
    webhookQueue: {
      ...webhooks,
      announce: (...args: Parameters<typeof webhooks.announce>) =>
        webhooks.announce(...args).then(notify),
      deliver: (...args: Parameters<typeof webhooks.deliver>) =>
        webhooks.deliver(...args).then(notify),
    },
    take,
    /** Calls back when a job may have become free or was added. */
    onJob: (listen: () => void) => void listeners.add(listen),
  };

  /** Takes the next job for the process, until that dies. */
  function take(process: Process): Taken | undefined {
    const id = plain.takeNext();
    if (id === undefined) return undefined;
    const job = jobs.get(id) ?? createJob(id);
    job.data = plain.jobs.get(id)!;
    jobs.set(id, job);
    const lock = {};
    locks.set(id, lock);
    void process.died.then(() => setTimeout(() => stall(id, lock), STALLED_AFTER_MS));
    const unlock = () => {
      if (locks.get(id) !== lock) throw new Error(`Missing lock for job ${id}`);
      locks.delete(id);
    };
    return {
      job,
      async complete(result) {
        unlock();
        plain.finish(id, { result });
      },
      async fail(error) {
        unlock();
        job.attemptsMade += 1;
        const isEnd = error instanceof UnrecoverableError || job.attemptsMade === MAX_ATTEMPTS;
        if (isEnd) plain.finish(id, readRefusal(error.message));
        else retryIn(id, BACKOFF_MS * job.attemptsMade);
        return isEnd;
      },
      async delay(ms) {
        unlock();
        retryIn(id, ms);
      },
      expire: () => stall(id, lock),
    };
  }

  function stall(id: string, lock: object): void {
    if (locks.get(id) !== lock) return;
    locks.delete(id);
    jobs.get(id)!.stalledCounter += 1;
    retryIn(id, 0);
  }

  function retryIn(id: string, ms: number): void {
    setTimeout(() => {
      plain.retry(id);
      notify();
    }, ms);
  }

  function createJob(id: string): TakenJob {
    const job: TakenJob = {
      id,
      data: plain.jobs.get(id)!,
      attemptsMade: 0,
      stalledCounter: 0,
      progress: 0,
      updateProgress: async (progress) => void (job.progress = progress),
      remove: async () => undefined,
    };
    return job;
  }
}

export type Store = ReturnType<typeof createStore>;
