import { createHash } from 'node:crypto';
import type { WebhookMessageType } from './webhooks.js';

/**
 * The life of a delivery. An attempt that fails leaves it pending while the schedule has another;
 * a replay starts the schedule again.
 *
 *     pending ──▶ succeeded | failed
 *        ▲            │
 *        └──replay────┘
 */
export type DeliveryStatus = 'pending' | 'succeeded' | 'failed';

/** Why a delivery failed and has no next attempt. */
export type DeliveryFailure =
  | 'attempts_exhausted'
  | 'endpoint_deleted'
  | 'endpoint_disabled'
  | 'endpoint_gone'
  | 'secret_missing'
  | 'too_many_pending';

/** A webhook endpoint, or the `webhook_url` of one check. */
export type DeliveryTarget = { endpointId: string } | { url: string };

/** One attempt to deliver a message. Times are milliseconds, `at` since the epoch. */
export interface DeliveryAttempt {
  at: number;
  latencyMs: number;
  statusCode?: number;
  /** Why there is no status code, for the tenant to read. */
  error?: string;
  /** The first kilobyte of the answer's body; kept for the latest attempt only. */
  responseExcerpt?: string | undefined;
  /** What the receiver's `Retry-After` asked for. */
  retryAfterMs?: number;
}

/** The delivery of one message to one receiver. */
export interface Delivery {
  /** The `webhook-id`: the same over all attempts and replays. */
  id: string;
  tenant: string;
  target: DeliveryTarget;
  type: WebhookMessageType;
  /**
   * The JSON body, kept as text: every attempt signs and sends the same bytes. Empty once a
   * delivery to a check's own URL has ended, because it cannot be replayed.
   */
  payload: string;
  createdAt: number;
  status: DeliveryStatus;
  failure?: DeliveryFailure | undefined;
  /** Failed attempts since the creation or the last replay. */
  failures: number;
  nextAttemptAt?: number | undefined;
  /** The latest attempts, oldest first. */
  attempts: DeliveryAttempt[];
}

/** A schedule has ten attempts, so the log keeps the last schedule and two replays. */
const maxLoggedAttempts = 30;

const hourSeconds = 60 * 60;

/** The TTL of a delivery after its last change, in seconds. */
export function deliveryTtlSeconds({ status, target }: Delivery): number {
  // Long enough that a check which is announced twice is still delivered once.
  if (status !== 'pending' && 'url' in target) return hourSeconds;
  if (status === 'succeeded') return 24 * hourSeconds;
  // A whole schedule takes about 3.2 days, so nothing pending expires; a tenant has the rest of the
  // week to replay a failed delivery.
  return 7 * 24 * hourSeconds;
}

export type NewDelivery = Pick<
  Delivery,
  'id' | 'tenant' | 'target' | 'type' | 'payload' | 'createdAt'
>;

export function createDelivery(facts: NewDelivery): Delivery {
  const nextAttemptAt = facts.createdAt;
  return { ...facts, status: 'pending', failures: 0, nextAttemptAt, attempts: [] };
}

/**
 * One id for each source (a check's id) and target, so that announcing twice makes one delivery.
 */
export function deliveryIdOf(source: string, target: DeliveryTarget): string {
  const receiver = 'url' in target ? target.url : target.endpointId;
  return `msg_${createHash('sha256').update(`${source} ${receiver}`).digest('hex').slice(0, 32)}`;
}

/** Deliveries with the same receiver share its slots and wait for each other. */
export function receiverOf({ tenant, target }: Delivery): string {
  return 'url' in target ? `${tenant} ${new URL(target.url).origin}` : target.endpointId;
}

/**
 * The delivery after an attempt. An attempt that ends after the delivery has ended (two processes
 * may have sent at once) is only logged.
 */
export function recordAttempt(
  delivery: Delivery,
  attempt: DeliveryAttempt,
  random: number,
): Delivery {
  // A receiver that is down gives the same answer each time, which would fill most of the record.
  const earlier = delivery.attempts.map((made) => ({ ...made, responseExcerpt: undefined }));
  const attempts = [...earlier, attempt].slice(-maxLoggedAttempts);
  const logged = { ...delivery, attempts };
  if (delivery.status !== 'pending') return logged;
  const judgement = judgeStatus(attempt.statusCode);
  if (judgement === 'accepted') return end(logged, { status: 'succeeded' });
  if (judgement === 'gone') return failDelivery(logged, 'endpoint_gone');

  const failures = delivery.failures + 1;
  const waitMs = planRetry({ failures, retryAfterMs: attempt.retryAfterMs }, random);
  if (waitMs === undefined) return failDelivery({ ...logged, failures }, 'attempts_exhausted');
  return { ...logged, failures, nextAttemptAt: attempt.at + attempt.latencyMs + waitMs };
}

/** Ends a pending delivery without another attempt. An ended delivery does not change. */
export function failDelivery(delivery: Delivery, failure: DeliveryFailure): Delivery {
  return delivery.status === 'pending' ? end(delivery, { status: 'failed', failure }) : delivery;
}

/** Sends the same message again, now and from the start of the schedule. */
export function replayDelivery(delivery: Delivery, now: number): Delivery {
  const start = { status: 'pending', failure: undefined, failures: 0 } as const;
  return { ...delivery, ...start, nextAttemptAt: now };
}

function end(delivery: Delivery, outcome: Pick<Delivery, 'status' | 'failure'>): Delivery {
  const payload = 'url' in delivery.target ? '' : delivery.payload;
  return { ...delivery, ...outcome, payload, nextAttemptAt: undefined };
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/**
 * The wait after the first failed attempt, the second, and so on. The first attempt has no wait.
 */
const waitsMs = [
  5 * second,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  20 * hour,
  24 * hour,
];

/** Largest share of a wait that is added as jitter, so that retries to a receiver spread out. */
const jitterShare = 0.1;
/** Longest `Retry-After` that is obeyed: a receiver must not postpone a message without limit. */
const maxRetryAfterMs = 24 * hour;

export interface FailedAttempt {
  /** How many attempts have failed, this one included. */
  failures: number;
  /** What the receiver's `Retry-After` asked for. */
  retryAfterMs?: number | undefined;
}

/**
 * The wait before the next attempt, in milliseconds; `undefined` after the last attempt. `random`
 * (0..1) chooses the jitter.
 */
export function planRetry({ failures, retryAfterMs = 0 }: FailedAttempt, random: number) {
  const waitMs = waitsMs[failures - 1];
  if (waitMs === undefined) return undefined;
  const jitteredMs = waitMs * (1 + jitterShare * random);
  return Math.round(Math.max(jitteredMs, Math.min(retryAfterMs, maxRetryAfterMs)));
}

export type Judgement = 'accepted' | 'gone' | 'retry';

/**
 * Only 2xx is success. A redirect is not followed: it could lead to a forbidden address. The status
 * code is absent if the receiver did not answer.
 */
export function judgeStatus(statusCode = 0): Judgement {
  if (statusCode >= 200 && statusCode < 300) return 'accepted';
  return statusCode === 410 ? 'gone' : 'retry';
}
