import { randomUUID } from 'node:crypto';
import { type CheckJob, createLeases } from '@livegate/core/domain';
import { CHECK_QUEUE, type ReplyInbox } from '@livegate/core/ports';
import {
  createRedisCancellations,
  createRedisCheckQueue,
  createRedisIdempotencyKeys,
  createRedisImageStore,
  createRedisReplyInbox,
  createRedisReplyOutbox,
} from '@livegate/core/redis';
import { type Job, Worker } from 'bullmq';
import { connectWorker, findKeys, type Sandbox, silentLog } from '../harness/redis/sandbox.js';
import type { Store } from './store.js';

const LIFE_SECONDS = 60;
const TOKEN = 'token';

/** The Redis adapters, and BullMQ's own worker, which takes and ends jobs one by one. */
export async function openRedisStore({ redis, keys }: Sandbox) {
  const lives = { lifeSeconds: LIFE_SECONDS, resultLifeSeconds: LIFE_SECONDS };
  const flight = createFlight();
  const checkQueue = createRedisCheckQueue({ redis, keys, ...lives });
  const workerRedis = connectWorker();
  const worker = new Worker<CheckJob>(CHECK_QUEUE, null, {
    connection: workerRedis,
    prefix: keys.prefix,
    autorun: false,
    maxStalledCount: 4,
    removeOnComplete: { age: LIFE_SECONDS },
    removeOnFail: { age: LIFE_SECONDS },
  });
  await checkQueue.bullQueue.waitUntilReady();
  const outbox = createRedisReplyOutbox(redis, keys);
  const inboxes: ReplyInbox[] = [];
  let isSent = false;

  const store: Store = {
    queue: flight.watch({
      ...checkQueue,
      ...createRedisCancellations(redis, keys),
    }),
    imageStore: flight.watch(createRedisImageStore({ redis, keys, ...lives })),
    idempotencyKeys: flight.watch(createRedisIdempotencyKeys({ redis, keys, ...lives })),
    outbox: {
      async send(...reply) {
        isSent = true;
        await outbox.send(...reply);
      },
    },
    createInbox(name) {
      const gatewayId = `${name}-${randomUUID()}`;
      const blockingRedis = connectWorker(gatewayId);
      const inbox = createRedisReplyInbox({
        redis,
        blockingRedis,
        keys,
        gatewayId,
        leases: createLeases(),
        log: silentLog,
      });
      inboxes.push(inbox);
      return { ...inbox, ...flight.watch({ attach: inbox.attach }) };
    },
    async takeNext() {
      const job = await worker.getNextJob(TOKEN, { block: false });
      return job && take(job);
    },
    async expireResult(id) {
      await redis.hset(keys.job(id), 'finishedOn', Date.now() - 1000 * LIFE_SECONDS - 1);
    },
    async settle() {
      await flight.landed();
      if (isSent) {
        isSent = false;
        await Promise.all(inboxes.map(receiveAll));
        await flight.landed();
      }
      // Answers come in order: no command is left whose time limit the fake time could reach.
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
    Object.assign(job, flight.watch({ updateProgress: job.updateProgress.bind(job) }));
    return {
      job,
      complete: async (result: unknown) => void (await job.moveToCompleted(result, TOKEN, false)),
      async fail(error: Error) {
        await job.moveToFailed(error, TOKEN, false);
        if (job.finishedOn) return true;
        await job.promote();
        return false;
      },
      async stall() {
        await redis.del(`${keys.job(job.id!)}:lock`);
        // Seen without its lock once, it is suspected; at the second time it is given back.
        for (let look = 0; look < 2; look++) await findStalled();
      },
    };
  }

  /** BullMQ does so by a timer; between two times it locks itself out. */
  async function findStalled(): Promise<void> {
    await redis.del(`${keys.prefix}:${CHECK_QUEUE}:stalled-check`);
    await (worker as unknown as { moveStalledJobsToWait(): Promise<void> }).moveStalledJobsToWait();
  }

  /** A stream keeps its order: what was sent before the marker has come when that has. */
  async function receiveAll(inbox: ReplyInbox): Promise<void> {
    const marker = inbox.expect('marker');
    await outbox.send('marker', { error: 'canceled' }, inbox.address);
    await marker.within(60_000);
  }
}

/** Knows whether any of the watched methods is under way. */
function createFlight() {
  let flying = 0;
  return {
    watch<Port extends object>(port: Port): Port {
      const watched = Object.entries(port).map(([name, method]) => [
        name,
        typeof method === 'function' ? track(method as (...args: unknown[]) => unknown) : method,
      ]);
      return Object.fromEntries(watched) as Port;
    },
    async landed(): Promise<void> {
      do await new Promise((resolve) => setImmediate(resolve));
      while (flying > 0);
    },
  };

  function track(method: (...args: unknown[]) => unknown) {
    return async (...args: unknown[]) => {
      flying += 1;
      try {
        return await method(...args);
      } finally {
        flying -= 1;
      }
    };
  }
}
