import type { Leases } from '@livegate/core/domain';
import { WEBHOOK_QUEUE, type WebhookJob } from '@livegate/core/ports';
import type { Keys, Redis } from '@livegate/core/redis';
import { createCountStall, createTraceProcess, type Log } from '@livegate/core/telemetry';
import { DelayedError, type Job, Worker } from 'bullmq';
import type { AnnounceCheck } from './announce-check.js';
import type { DeliverMessage } from './deliver-message.js';
import { createReceiverSlots } from './receiver-slots.js';

/** Messages on their way at once from this process: almost all of their time is waiting. */
const SLOTS = 256;
/** Of those, for one receiver. */
const PER_RECEIVER = 4;
/** Beside the jobs that hold a slot: announcements, and jobs that have yet to be told there is none. */
const OTHER_JOBS = 32;
/** Above the time limit of an attempt, so that no second process makes it as well. */
const LOCK_MS = 30_000;
/** A killed process may have held any job; no job kills one. */
const MAX_STALLS = 1000;
/**
 * A job that finds no slot is woken when a slot is free. In case nobody wakes it, it comes
 * back by itself, ever more rarely: a long backlog of one receiver must not keep Redis busy.
 */
const PARK_MS = 5000;
const MAX_PARK_MS = 60_000;

export interface TakeDeliveriesOptions {
  /** A connection that waits for Redis. */
  redis: Redis;
  keys: Keys;
  leases: Leases;
  log: Log;
}

export interface TakeDeliveriesDeps {
  announce: AnnounceCheck;
  deliver: DeliverMessage;
  /** Queues a delivery that has become pending again. */
  resume(deliveryId: string): Promise<void>;
}

/** Takes jobs from the webhooks queue until closed; closing waits for the attempts under way. */
export function takeDeliveries(
  { redis, keys, leases, log }: TakeDeliveriesOptions,
  { announce, deliver, resume }: TakeDeliveriesDeps,
) {
  const slots = createReceiverSlots({ total: SLOTS, perReceiver: PER_RECEIVER, leases });
  const traceProcess = createTraceProcess({ system: 'bullmq', destination: WEBHOOK_QUEUE });
  const countStall = createCountStall(WEBHOOK_QUEUE);
  const worker = new Worker<WebhookJob>(WEBHOOK_QUEUE, runJob, {
    connection: redis,
    prefix: keys.prefix,
    concurrency: SLOTS + OTHER_JOBS,
    lockDuration: LOCK_MS,
    maxStalledCount: MAX_STALLS,
  });
  // A replay that was asked for while its job was just ending found the job still there.
  worker.on('completed', ({ data }) => {
    if (data.kind !== 'deliver') return;
    resume(data.deliveryId).catch((error: unknown) => log.warn({ err: error }, 'replay delayed'));
  });
  worker.on('stalled', countStall);
  worker.on('error', (error) => {
    // While the connection is down it says so itself, once.
    if (redis.status === 'ready') log.warn({ err: error }, 'webhook queue trouble');
  });
  worker.on('failed', (job, error) => log.error({ job: job?.id, err: error }, 'webhook failed'));

  // Without Redis no job can end, so there is nothing to wait for: another gateway takes them over.
  return { close: () => worker.close(redis.status !== 'ready') };

  async function runJob(job: Job<WebhookJob>, token?: string): Promise<void> {
    const { data, timestamp, attemptsStarted } = job;
    if (data.kind === 'announce') {
      const nextAt = await traceProcess(job, () => announce(data.check, timestamp));
      return putOff(job, nextAt, token);
    }
    const { deliveryId: id, receiver } = data;
    // A job of an older gateway does not name its tenant: its receiver has a share of its own.
    const message = { id, receiver, tenant: data.tenant ?? receiver };
    const slot = slots.enter(message);
    if (slot) {
      const attempt = traceProcess(job, () => deliver(id));
      const nextAt = await attempt.finally(slot.release);
      return putOff(job, nextAt, token);
    }
    const parkMs = Math.min(PARK_MS * attemptsStarted, MAX_PARK_MS);
    await job.moveToDelayed(Date.now() + parkMs, token);
    slots.awaitSlot(message, () => wake(job));
    throw new DelayedError();
  }
}

/** The queue holds the job until its next time, which its record has chosen. */
async function putOff(job: Job, nextAt: number | undefined, token?: string): Promise<void> {
  if (nextAt === undefined) return;
  await job.moveToDelayed(nextAt, token);
  throw new DelayedError();
}

/** In vain if another process has taken it: then it is awake already. */
function wake(job: Job): void {
  job.promote().catch(() => undefined);
}
