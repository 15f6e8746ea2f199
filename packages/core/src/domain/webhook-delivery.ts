import { createHash } from 'node:crypto';
import type { WebhookMessageType } from './webhooks.js';

/**
 * The life of a delivery. An attempt that fails leaves it pending while the schedule has another;
 * a replay starts the schedule anew.
 *
 *     pending ──▶ succeeded | failed
 *        ▲            │
 *        └──replay────┘
 */
export type DeliveryStatus = 'pending' | 'succeeded' | 'failed';

/** Why no attempt follows. */
export type DeliveryFailure =
  | 'attempts_exhausted'
  | 'endpoint_deleted'
  | 'endpoint_disabled'
  | 'endpoint_gone'
  | 'secret_missing';

/** A registered endpoint, or the URL that one check asked to be announced at. */
export type DeliveryTarget = { endpointId: string } | { url: string };

/** One try to bring a message. Times are milliseconds, `at` since the epoch. */
export interface DeliveryAttempt {
  at: number;
  latencyMs: number;
  statusCode?: number;
  /** Why there is no status code, for the tenant to read. */
  error?: string;
  /** The first kilobyte of the answer's body, of the latest attempt. */
  responseExcerpt?: string | undefined;
  /** What the receiver's `Retry-After` asked for. */
  retryAfterMs?: number;
}

/** One message on its way to one receiver. */
export interface Delivery {
  /** The `webhook-id`: the same over all attempts and replays. */
  id: string;
  tenant: string;
  target: DeliveryTarget;
  type: WebhookMessageType;
  /**
   * The JSON body, kept as text: every attempt signs and sends the same bytes. Empty once a delivery to
   * a check's own URL has ended, as nobody can replay that.
   */
  payload: string;
  createdAt: number;
  status: DeliveryStatus;
  failure?: DeliveryFailure | undefined;
  /** Since the beginning, or since the last replay. */
  failures: number;
  nextAttemptAt?: number | undefined;
  /** The latest ones, oldest first. */
  attempts: DeliveryAttempt[];
}

/** Ten attempts make a schedule; the log has room for a few replays. */
const maxLoggedAttempts = 30;

const hourSeconds = 60 * 60;

/** How long a delivery is kept after its last change, in seconds. */
export function deliveryLifeSeconds({ status, target }: Delivery): number {
  // For the longest: what was only announced twice must not be sent twice.
  if (status !== 'pending' && 'url' in target) return hourSeconds;
  if (status === 'succeeded') return 24 * hourSeconds;
  // Longer than a whole schedule of attempts, so that nothing pending is forgotten; and as long again
  // for a tenant to replay what failed.
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

/** The same for the same subject and target, so that announcing twice makes one message. */
export function deliveryIdOf(subject: string, target: DeliveryTarget): string {
  const receiver = 'url' in target ? target.url : target.endpointId;
  return `msg_${createHash('sha256').update(`${subject} ${receiver}`).digest('hex').slice(0, 32)}`;
}

/** Deliveries of one receiver wait for each other, and for nobody else's. */
export function receiverOf({ tenant, target }: Delivery): string {
  return 'url' in target ? `${tenant} ${new URL(target.url).origin}` : target.endpointId;
}

/**
 * What an attempt makes of a delivery. One that ends after the delivery itself has (two processes
 * may have tried at once) is logged and moves nothing.
 */
export function recordAttempt(
  delivery: Delivery,
  attempt: DeliveryAttempt,
  random: number,
): Delivery {
  // The answers of a receiver that is down are alike, and most of what such a delivery takes.
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

/** Ends a delivery without another attempt. One that has ended stays as it is. */
export function failDelivery(delivery: Delivery, failure: DeliveryFailure): Delivery {
  return delivery.status === 'pending' ? end(delivery, { status: 'failed', failure }) : delivery;
}

/** The same message once more, at once and from the start of the schedule. */
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

/** The wait after the first failed attempt, the second, and so on; the first attempt is at once. */
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

/** Up to this share is added to a wait, so that receivers are not struck by all at one moment. */
const jitterShare = 0.1;
/** A receiver may ask for more time than the schedule gives, but not put a message off for ever. */
const maxRetryAfterMs = 24 * hour;

export interface FailedTry {
  /** How many attempts have failed, this one included. */
  failures: number;
  /** What the receiver's `Retry-After` asked for. */
  retryAfterMs?: number | undefined;
}

/**
 * The wait before the next attempt, in milliseconds; `undefined` when there is none. `random` is
 * in 0..1 and chooses the jitter.
 */
export function planRetry({ failures, retryAfterMs = 0 }: FailedTry, random: number) {
  const waitMs = waitsMs[failures - 1];
  if (waitMs === undefined) return undefined;
  const jitteredMs = waitMs * (1 + jitterShare * random);
  return Math.round(Math.max(jitteredMs, Math.min(retryAfterMs, maxRetryAfterMs)));
}

/** `Retry-After` as milliseconds from `now`: seconds, or an HTTP date; `undefined` for all else. */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * second;
  if (!/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/.test(header)) return undefined;
  const waitMs = Date.parse(header) - now;
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
}

export type Judgement = 'accepted' | 'gone' | 'retry';

/** Only 2xx accepts. A redirect is not followed: it could lead where no webhook may go. */
export function judgeStatus(statusCode: number | undefined): Judgement {
  if (statusCode === undefined) return 'retry';
  if (statusCode >= 200 && statusCode < 300) return 'accepted';
  return statusCode === 410 ? 'gone' : 'retry';
}
