import { randomUUID } from 'node:crypto';
import { type CheckOutcome, createLeases } from '@livegate/core/domain';
import {
  createRedisCheckQueue,
  createRedisImageStore,
  createRedisReplyInbox,
  createRedisWorkerRegistry,
} from '@livegate/core/redis';
import type { Log } from '@livegate/core/telemetry';
import { readWorkerConfig } from '@livegate/worker/config';
import type { Rollout } from '@livegate/worker/models/rollout';
import { openWorker } from '@livegate/worker/open-worker';
import { openScheduler, type SchedulerConfig } from '@livegate/worker/scheduling/schedule-images';
import { exampleJob } from '../examples.js';
import { connectWorker, openSandbox, redisUrl, silentLog } from '../redis/sandbox.js';
import { schedulerConfig } from './scheduler-config.js';

export interface WorkerOptions extends Partial<SchedulerConfig> {
  modelsDir: string;
  rollout?: Rollout;
  log?: Log;
}

export interface Answer {
  id: string;
  /** `performance.now()` when the check was submitted. */
  submittedAt: number;
  outcome: CheckOutcome | undefined;
}

/** A worker in this process on the suite's Redis, and what a gateway needs to send it checks. */
export async function startRunningWorker({ log = silentLog, ...change }: WorkerOptions) {
  const sandbox = await openSandbox();
  const stores = { ...sandbox, leases: createLeases(), gatewayId: 'a', log: silentLog };
  const queue = createRedisCheckQueue({ ...stores, resultTtlSeconds: 60 });
  const imageStore = createRedisImageStore({ ...stores, ttlSeconds: 60 });
  const replies = createRedisReplyInbox({ ...stores, blockingRedis: connectWorker('replies') });
  const deps = { log, onLost: () => undefined };
  const scheduler = await openScheduler({ ...schedulerConfig, ...change }, deps);
  const config = readWorkerConfig({
    REDIS_URL: redisUrl,
    LIVEGATE_KEY_PREFIX: sandbox.keys.prefix,
    LIVEGATE_MODELS_DIR: change.modelsDir,
  });
  const stopping = new AbortController().signal;
  const worker = await openWorker(config, { scheduler, stopping, log });
  await worker.registered;

  async function check(image: Uint8Array, id: string = randomUUID()): Promise<Answer> {
    const submittedAt = performance.now();
    using waiter = replies.expect(id);
    await imageStore.put(id, image);
    await queue.add(id, { ...exampleJob, replyTo: replies.address });
    return { id, submittedAt, outcome: await waiter.within(20_000) };
  }

  return {
    scheduler,
    worker,
    registry: createRedisWorkerRegistry(sandbox.redis, sandbox.keys),
    check,
    /** Callers that each send the next check after an answer, until `stop`. */
    startLoad(image: Uint8Array, callers: number) {
      const answers: Answer[] = [];
      let isOver = false;
      const call = async () => {
        while (!isOver) answers.push(await check(image));
      };
      const calling = Promise.all(Array.from({ length: callers }, call));
      const stop = async () => {
        isOver = true;
        await calling;
        return answers;
      };
      return { answers, stop };
    },
    async close() {
      await worker.close();
      await scheduler.close();
      await replies.close();
      await queue.close();
      await sandbox.close();
    },
  };
}
