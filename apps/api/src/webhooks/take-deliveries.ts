import type { Leases } from '@livegate/core/domain';
import { WEBHOOK_QUEUE, type WebhookJob } from '@livegate/core/ports';
import type { Keys, Redis } from '@livegate/core/redis';
import { createCountStall, createTraceProcess, type Log } from '@livegate/core/telemetry';
import { DelayedError, type Job, Worker } from 'bullmq';
import type { AnnounceCheck } from './announce-check.js';
import type { DeliverMessage } from './deliver-message.js';
import { createReceiverSlots } from './receiver-slots.js';

/** Messages that this process sends at the same time; they spend almost all of it waiting. */
const SLOTS = 256;
/** Messages sent to one receiver at the same time. */
const PER_RECEIVER = 4;
/** Concurrency for jobs without a slot: announcements, and deliveries that find none free. */
const OTHER_JOBS = 32;
/** Longer than the timeout of an attempt, so that no other process repeats a running attempt. */
const LOCK_MS = 30_000;
/** Practically no limit: a killed process stalls its jobs, but no job can kill a process. */
const MAX_STALLS = 1000;
/**
 * A job that finds no slot is promoted when one is released. In case that is missed, it also retries
 * by itself, more and more rarely: a long backlog of one receiver must not keep Redis busy.
 */
const SLOT_RETRY_MS = 5000;
const MAX_SLOT_RETRY_MS = 60_000;

export interface TakeDeliveriesOptions {
  /** A connection that waits while Redis is down. */
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

/** Takes jobs from the webhooks queue until closed; closing waits for running attempts. */
export function takeDeliveries(
  { redis, keys, leases, log }: TakeDeliveriesOptions,
  { announce, deliver, resume }: TakeDeliveriesDeps,
) {
  const slots = createReceiverSlots({ total: SLOTS, perReceiver: PER_RECEIVER, leases });
  const traceProcess = createTraceProcess({ system: 'bullmq', destination: WEBHOOK_QUEUE });
  const warn = (message: string) => (err: unknown) => log.warn({ err }, message);
  const worker = new Worker<WebhookJob>(WEBHOOK_QUEUE, runJob, {
    connection: redis,
    prefix: keys.prefix,
    concurrency: SLOTS + OTHER_JOBS,
    lockDuration: LOCK_MS,
    maxStalledCount: MAX_STALLS,
  });
  // A replay requested while its job was ending queued no new job, since the old one still existed.
  worker.on('completed', ({ data }) => {
    if (data.kind !== 'deliver') return;
    resume(data.deliveryId).catch(warn('webhooks: queueing a replay failed'));
  });
  worker.on('stalled', createCountStall(WEBHOOK_QUEUE));
  worker.on('error', (error) => {
    // The connection itself logs that it is down, once.
    if (redis.status === 'ready') warn('webhooks: BullMQ worker error')(error);
  });
  worker.on('failed', (job, err) => log.error({ job: job?.id, err }, 'webhooks: job failed'));

  // Without Redis no job can end, so do not wait: another gateway takes over the stalled jobs.
  return { close: () => worker.close(redis.status !== 'ready') };

  async function runJob(job: Job<WebhookJob>, token?: string): Promise<void> {
    const { data, timestamp, attemptsStarted } = job;
    if (data.kind === 'announce') {
      const nextAt = await traceProcess(job, () => announce(data.check, timestamp));
      return delayUntil(job, nextAt, token);
    }
    const { deliveryId: id, receiver } = data;
    // A job of an older gateway has no tenant: its receiver then gets a share of its own.
    const message = { id, receiver, tenant: data.tenant ?? receiver };
    const slot = slots.take(message);
    if (slot) {
      const attempt = traceProcess(job, () => deliver(id));
      const nextAt = await attempt.finally(slot.release);
      return delayUntil(job, nextAt, token);
    }
    const retryMs = Math.min(SLOT_RETRY_MS * attemptsStarted, MAX_SLOT_RETRY_MS);
    await job.moveToDelayed(Date.now() + retryMs, token);
    slots.awaitSlot(message, () => wake(job));
    throw new DelayedError();
  }
}

/** Moves the job to BullMQ's delayed jobs until `nextAt`. */
async function delayUntil(job: Job, nextAt: number | undefined, token?: string): Promise<void> {
  if (nextAt === undefined) return;
  await job.moveToDelayed(nextAt, token);
  throw new DelayedError();
}

/** Fails if another process has already taken the job. */
function wake(job: Job): void {
  job.promote().catch(() => undefined);
}
