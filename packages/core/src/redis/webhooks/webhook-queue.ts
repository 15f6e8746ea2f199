import { type Job, type JobsOptions, Queue } from 'bullmq';
import { type Delivery, receiverOf } from '../../domain/webhook-delivery.js';
import { WEBHOOK_QUEUE, type WebhookJob, type WebhookQueue } from '../../ports.js';
import { traceSend } from '../../telemetry/traces.js';
import {
  type BullQueue,
  createReadBacklog,
  NO_EVENTS,
  NO_STACKS,
  type ReadBacklog,
  withCarrier,
} from '../checks/check-queue.js';
import { reachRedis, type Redis } from '../connection/connect.js';
import { type Keys } from '../keys.js';

/** Job data is ids and small facts, so a larger job is a bug. */
const MAX_JOB_DATA_BYTES = 8 * 1024;

/** For our own faults, such as an outage. The retry schedule of a delivery is in the domain. */
const RETRIES = { attempts: 1000, backoff: { type: 'fixed', delay: 5000 } };

/**
 * TTL of the counter that ranks a tenant's deliveries. A delivery's rank is its BullMQ priority, so
 * the first deliveries of all tenants are sent before the second ones, however many one tenant has
 * queued. Announcements have no priority: BullMQ takes them before all deliveries.
 */
const RANK_TTL_SECONDS = 60;
/** The highest priority that BullMQ accepts. */
const MAX_PRIORITY = 2 ** 21;

/** A finished job is removed: the delivery's record has its attempts. */
const REMOVE_FINISHED = { ...NO_STACKS, removeOnComplete: true, removeOnFail: true };

const JOB_OPTIONS = { ...RETRIES, ...REMOVE_FINISHED, sizeLimit: MAX_JOB_DATA_BYTES };

/** A check is announced right before it ends; by then it usually has ended. */
const ANNOUNCEMENT_DELAY_MS = 100;

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
  // `reportOutages` logs connection errors; without a listener, an 'error' event ends the process.
  queue.on('error', () => undefined);

  /** A BullMQ Queue waits for its first connection without a limit; a request must not. */
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
    announce: async ({ id, tenant, webhookUrl }, hasEndpoints) => {
      if (!webhookUrl && hasEndpoints === false) return;
      await reach(async () => {
        const isLookedUp = webhookUrl || hasEndpoints;
        if (!isLookedUp && !(await redis.exists(keys.webhookEndpoints(tenant)))) return;
        const check = { id, tenant, ...(webhookUrl && { webhookUrl }) };
        const options = { jobId: announcementOf(id), delay: ANNOUNCEMENT_DELAY_MS };
        await send(queue, { kind: 'announce', check }, options);
      });
    },
    async deliver(delivery) {
      await reach(() => add(delivery));
    },
    async deliverNow(delivery) {
      await reach(async () => prioritize(await add(delivery)));
    },
    withdraw: ({ checkId, deliveryIds }) => {
      const announcements = checkId === undefined ? [] : [announcementOf(checkId)];
      return reach(() => removeJobs(queue, [...announcements, ...deliveryIds]));
    },
    readBacklog: () => reach(createReadBacklog(queue)),
    close: () => queue.close(),
  };
}

/** Adding a job whose id exists changes nothing. */
function addDelivery(queue: Queue<WebhookJob>, delivery: Delivery, priority: number) {
  const { id, tenant } = delivery;
  const receiver = receiverOf(delivery);
  const job = { kind: 'deliver', deliveryId: id, receiver, tenant } as const;
  return send(queue, job, { jobId: id, priority });
}

async function takeRank(redis: Redis, key: string): Promise<number> {
  const [, counted] =
    (await redis.multi().set(key, 0, 'EX', RANK_TTL_SECONDS, 'NX').incr(key).exec()) ?? [];
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
    // The job may have become due between the two commands.
    if (await job.isDelayed()) throw error;
  }
}
