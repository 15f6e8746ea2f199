import { type Job, type JobsOptions, Queue } from 'bullmq';
import { type Delivery, receiverOf } from '../domain/webhook-delivery.js';
import { WEBHOOK_QUEUE, type WebhookJob, type WebhookQueue } from '../ports.js';
import { traceSend } from '../telemetry/traces.js';
import {
  type BullQueue,
  createReadBacklog,
  NO_EVENTS,
  NO_STACKS,
  type ReadBacklog,
  withCarrier,
} from './check-queue.js';
import { reachRedis, type Redis } from './connection/connect.js';
import { type Keys } from './keys.js';

/** Job data holds ids and small facts; more than this in it is a bug. */
const MAX_JOB_DATA_BYTES = 8 * 1024;

/** For faults of ours only, such as an outage; the schedule of a delivery is not BullMQ's. */
const OWN_FAULTS = { attempts: 1000, backoff: { type: 'fixed', delay: 5000 } };

/**
 * Of jobs with a priority BullMQ takes the lowest first, and before all of them those without one. A
 * delivery's is its number among those that its tenant has queued within this time, so tenants take
 * turns however many one of them has queued; announcements have none.
 */
const RANK_LIFE_SECONDS = 60;
/** BullMQ's limit. */
const MAX_PRIORITY = 2 ** 21;

/** The delivery's own record is the log: of a job that is done nothing needs to stay. */
const NOTHING_STAYS = { ...NO_STACKS, removeOnComplete: true, removeOnFail: true };

const JOB_OPTIONS = { ...OWN_FAULTS, ...NOTHING_STAYS, sizeLimit: MAX_JOB_DATA_BYTES };

/** The announced check ends within this, or has ended; a look at once would often be in vain. */
const FIRST_LOOK_MS = 100;

export interface RedisWebhookQueue extends WebhookQueue {
  bullQueue: BullQueue;
  readBacklog: ReadBacklog;
  close(): Promise<void>;
}

export function createRedisWebhookQueue(redis: Redis, keys: Keys): RedisWebhookQueue {
  const queue = new Queue<WebhookJob>(WEBHOOK_QUEUE, {
    connection: redis,
    prefix: keys.prefix,
    defaultJobOptions: JOB_OPTIONS,
    streams: NO_EVENTS,
  });
  // The connection reports its own errors; an unheard 'error' event would end the process.
  queue.on('error', () => undefined);

  /** A Queue waits for its first connection without a limit; a caller who may not wait must not. */
  const reach = <T>(work: () => Promise<T>) =>
    reachRedis(async () => {
      const mayWait = redis.options.enableOfflineQueue;
      if (!mayWait && redis.status !== 'ready') throw new Error(`connection is ${redis.status}`);
      return work();
    });

  const add = async (delivery: Delivery) =>
    addDelivery(queue, delivery, await takeRank(redis, keys.webhookRank(delivery.tenant)));

  return {
    bullQueue: queue,
    announce: ({ id, tenant, webhookUrl }) =>
      reach(async () => {
        if (!webhookUrl && !(await redis.exists(keys.webhookEndpoints(tenant)))) return;
        const check = { id, tenant, ...(webhookUrl && { webhookUrl }) };
        const options = { jobId: announcementOf(id), delay: FIRST_LOOK_MS };
        await send(queue, { kind: 'announce', check }, options);
      }),
    async deliver(delivery) {
      await reach(() => add(delivery));
    },
    async deliverNow(delivery) {
      await reach(async () => prioritize(await add(delivery)));
    },
    withdraw: (checkId, ids) => reach(() => removeJobs(queue, [announcementOf(checkId), ...ids])),
    readBacklog: () => reach(createReadBacklog(queue)),
    close: () => queue.close(),
  };
}

/** Adding a job that is there already changes nothing. */
function addDelivery(queue: Queue<WebhookJob>, delivery: Delivery, priority: number) {
  const { id, tenant } = delivery;
  const receiver = receiverOf(delivery);
  const job = { kind: 'deliver', deliveryId: id, receiver, tenant } as const;
  return send(queue, job, { jobId: id, priority });
}

async function takeRank(redis: Redis, key: string): Promise<number> {
  const [, counted] =
    (await redis.multi().set(key, 0, 'EX', RANK_LIFE_SECONDS, 'NX').incr(key).exec()) ?? [];
  const [error, rank] = counted ?? [];
  if (error) throw error;
  return Math.min(Number(rank), MAX_PRIORITY);
}

async function removeJobs(queue: Queue, ids: string[]): Promise<void> {
  await Promise.all(ids.map((id) => queue.remove(id)));
}

const announcementOf = (checkId: string) => `announce-${checkId}`;

function send(queue: Queue<WebhookJob>, job: WebhookJob, options: JobsOptions & { jobId: string }) {
  const message = { system: 'bullmq', destination: WEBHOOK_QUEUE, id: options.jobId } as const;
  return traceSend(message, (carrier) =>
    queue.add(job.kind, job, { ...options, ...withCarrier(carrier) }),
  );
}

async function prioritize(job: Job<WebhookJob>): Promise<void> {
  if (!(await job.isDelayed())) return;
  try {
    await job.promote();
  } catch (error) {
    // Its time may have come just now.
    if (await job.isDelayed()) throw error;
  }
}
