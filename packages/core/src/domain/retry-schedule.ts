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
