import { randomUUID } from 'node:crypto';
import { type CheckJob, type CheckResult, createLeases } from '@livegate/core/domain';
import { CHECK_QUEUE, type ReplyInbox } from '@livegate/core/ports';
import {
  createRedisCancellations,
  createRedisCheckQueue,
  createRedisIdempotencyKeys,
  createRedisImageStore,
  createRedisReplyInbox,
  createRedisReplyOutbox,
  type Redis,
  writeResult,
} from '@livegate/core/redis';
import { type Job, Worker } from 'bullmq';
import { connectWorker, findKeys, type Sandbox, silentLog } from '@livegate/testing/redis/sandbox';
import type { Store } from './store.js';

const TTL_SECONDS = 60;
const TOKEN = 'token';

/** On the fake clock, hours pass before Redis can answer. */
export function withoutSocketTimeout(redis: Redis): Redis {
  Object.assign(redis.options, { socketTimeout: undefined });
  return redis;
}

/** The Redis adapters, and a BullMQ worker that takes and ends jobs one by one. */
export async function openRedisStore({ redis, keys }: Sandbox) {
  const lives = { ttlSeconds: TTL_SECONDS, resultTtlSeconds: TTL_SECONDS };
  const calls = createCallTracker();
  const checkQueue = createRedisCheckQueue({ redis, keys, ...lives });
  const workerRedis = withoutSocketTimeout(connectWorker());
  const worker = new Worker<CheckJob>(CHECK_QUEUE, null, {
    connection: workerRedis,
    prefix: keys.prefix,
    autorun: false,
    maxStalledCount: 4,
    removeOnComplete: { age: TTL_SECONDS },
    removeOnFail: { age: TTL_SECONDS },
  });
  await checkQueue.bullQueue.waitUntilReady();
  const outbox = createRedisReplyOutbox({ redis, keys, ...lives });
  const inboxes: ReplyInbox[] = [];
  let isSent = false;

  const store: Store = {
    queue: calls.watch({
      ...checkQueue,
      ...createRedisCancellations({ redis, keys, ...lives }),
    }),
    imageStore: calls.watch(createRedisImageStore({ redis, keys, ...lives })),
    idempotencyKeys: calls.watch(createRedisIdempotencyKeys({ redis, keys, ...lives })),
    outbox: {
      async send(...reply) {
        isSent = true;
        return outbox.send(...reply);
      },
    },
    createInbox(name) {
      const gatewayId = `${name}-${randomUUID()}`;
      const blockingRedis = withoutSocketTimeout(connectWorker(gatewayId));
      const inbox = createRedisReplyInbox({
        redis,
        blockingRedis,
        keys,
        gatewayId,
        leases: createLeases(),
        log: silentLog,
      });
      inboxes.push(inbox);
      return { ...inbox, ...calls.watch({ attach: inbox.attach }) };
    },
    async takeNext() {
      const job = await worker.getNextJob(TOKEN, { block: false });
      return job && take(job);
    },
    async expireResult(id) {
      await redis.hset(keys.job(id), 'finishedOn', Date.now() - 1000 * TTL_SECONDS - 1);
    },
    async settle() {
      await calls.settled();
      if (isSent) {
        isSent = false;
        await Promise.all(inboxes.map(receiveAll));
        await calls.settled();
      }
      // Answers arrive in order, so no command is left that the fake clock could time out.
      await redis.ping();
    },
    async requireNoTrace(id) {
      const traces = await findKeys(redis, `${keys.prefix}*${id}*`);
      if (traces.length > 0) throw new Error(`${id} has left ${traces.join(', ')}`);
    },
  };
  return {
    store,
    async close() {
      await worker.close();
      await checkQueue.close();
      workerRedis.disconnect();
    },
  };

  function take(job: Job<CheckJob>) {
    Object.assign(job, calls.watch({ updateProgress: job.updateProgress.bind(job) }));
    return {
      job,
      complete: async (result: CheckResult) =>
        void (await job.moveToCompleted(writeResult(result), TOKEN, false)),
      async fail(error: Error) {
        await job.moveToFailed(error, TOKEN, false);
        if (job.finishedOn) return true;
        await job.promote();
        return false;
      },
      async stall() {
        await redis.del(`${keys.job(job.id!)}:lock`);
        // BullMQ marks a job without a lock in one stalled check, and requeues it in the next.
        for (let round = 0; round < 2; round++) await findStalled();
      },
    };
  }

  /** Runs BullMQ's stalled check now, without the key that limits its rate. */
  async function findStalled(): Promise<void> {
    await redis.del(`${keys.prefix}:${CHECK_QUEUE}:stalled-check`);
    await (worker as unknown as { moveStalledJobsToWait(): Promise<void> }).moveStalledJobsToWait();
  }

  /** Waits for a marker: a stream keeps its order, so earlier replies have arrived before it. */
  async function receiveAll(inbox: ReplyInbox): Promise<void> {
    const marker = { id: 'marker', tenant: 'acme' };
    const waiter = inbox.expect(marker.id);
    await outbox.send({ ...marker, replyTo: inbox.address }, { error: 'canceled' });
    await waiter.within(60_000);
  }
}

/** Counts pending calls of the watched ports. */
function createCallTracker() {
  let pending = 0;
  return {
    watch<Port extends object>(port: Port): Port {
      const watched = Object.entries(port).map(([name, method]) => [
        name,
        typeof method === 'function' ? track(method as (...args: unknown[]) => unknown) : method,
      ]);
      return Object.fromEntries(watched) as Port;
    },
    async settled(): Promise<void> {
      do await new Promise((resolve) => setImmediate(resolve));
      while (pending > 0);
    },
  };

  function track(method: (...args: unknown[]) => unknown) {
    return async (...args: unknown[]) => {
      pending += 1;
      try {
        return await method(...args);
      } finally {
        pending -= 1;
      }
    };
  }
}
