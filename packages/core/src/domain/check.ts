import type { Refusal } from './errors.js';
import type { Quality, QualityPolicy } from './quality.js';
import type { Verdict } from './verdict.js';

/**
 * Version of the Redis keys and of all stored data except queued checks. A gateway that finds
 * another version refuses to start, so a new version needs a migration.
 */
export const SCHEMA_VERSION = 1;

/**
 * Version of the jobs that this gateway adds. Raise it when a worker of the previous version would
 * misread a job; a field that it may ignore needs no new version. See docs/explanation/decisions/0007.
 */
export const JOB_VERSION = 1;

/**
 * Versions of jobs that this worker reads: the current one and, once there is one, the previous one, so
 * that workers can be updated before gateways.
 */
export const READABLE_JOB_VERSIONS: readonly number[] = [JOB_VERSION];

/** The data of a check's job: ids and small facts, never image bytes. */
export interface CheckJob {
  /** The `JOB_VERSION` of the gateway that queued it. */
  version: number;
  /** The tenant whose credentials sent the image. */
  tenant: string;
  /** Address of the gateway whose caller waits for the outcome; absent for an async check. */
  replyTo?: string;
  /**
   * Only the caller who waits at `replyTo` wants it: no key, no `webhookUrl`, no session, and no job
   * that a 504 has named. An older worker ignores it and runs the check.
   */
  isCallersOnly?: true;
  /** Receives this check's event, in addition to the tenant's webhook endpoints. */
  webhookUrl?: string;
  /** SHA-256 of the Idempotency-Key that maps to this check, so that a deletion can free it. */
  keySha256?: string;
  /** The gateway's URL as the caller used it, for the links in webhooks; see `baseUrlOf`. */
  baseUrl?: string;
  /** The hosted session that this check is for. Its end is announced by the session alone. */
  sid?: string;
  imageBytes: number;
  /** By `workOf`. Gateways of earlier versions leave it and the next two out. */
  work?: number;
  /** How long all workers together needed for it, as its gateway saw them. */
  ms?: number;
  /** The tenant's share of the workers, relative to other tenants; absent for 1. */
  weight?: number;
  /** Runs as an async check: its caller waits, but accepts a job. */
  isAsync?: true;
  /** How its caller wants to hear of a weak image; absent for `header`. */
  qualityPolicy?: QualityPolicy;
}

/** Whether it shares the workers as an async check. */
export function isAsyncJob({ replyTo, isAsync }: CheckJob): boolean {
  return replyTo === undefined || isAsync === true;
}

/** How long the stages of one check took, in milliseconds. */
export interface StageTimings {
  decodeMs: number;
  detectMs: number;
  classifyMs: number;
  /** From the moment a worker took the job until its verdict. */
  workerMs: number;
}

/** Rounds to a tenth of a millisecond; further digits are noise. */
export function roundMs(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** The result of a check: the verdict and its circumstances. */
export interface CheckResult {
  verdict: Verdict;
  /** Name, version and short hash of the models used: the `Livegate-Model` header. */
  model: string;
  timings: StageTimings;
  /** Of the face that was scored. Results of versions before 0.2 have none. */
  quality?: Quality;
}

/** How a check ended: with a verdict, or with the reason why there is none. */
export type CheckOutcome = { result: CheckResult } | Refusal;

/**
 * The life of a check:
 *
 *     queued ──▶ processing ──▶ succeeded | failed
 *        │  ◀──retry──┘ │
 *        └──────────────┴─────▶ canceled
 */
export type CheckStatus = 'queued' | 'processing' | 'succeeded' | 'failed' | 'canceled';

/** A check returns to `queued` when its worker dies or when a failed attempt is retried. */
const legalMoves: Record<CheckStatus, readonly CheckStatus[]> = {
  queued: ['processing', 'canceled'],
  processing: ['queued', 'succeeded', 'failed', 'canceled'],
  succeeded: [],
  failed: [],
  canceled: [],
};

export function canMove(from: CheckStatus, to: CheckStatus): boolean {
  return legalMoves[from].includes(to);
}

/** A finished check never changes again. */
export function isFinished(status: CheckStatus): boolean {
  return legalMoves[status].length === 0;
}

/** The state of a job in the queue. `waiting` includes a job that waits for its next attempt. */
export type JobState = 'waiting' | 'running' | 'completed' | 'failed';

/** With `cancelRequested`, a check is `canceled` at once if it waits, or at the end of its run. */
export function statusOf(state: JobState, cancelRequested: boolean): CheckStatus {
  if (state === 'running') return 'processing';
  if (cancelRequested) return 'canceled';
  return ({ waiting: 'queued', completed: 'succeeded', failed: 'failed' } as const)[state];
}

/** A check as its caller can read it. Times are milliseconds since the epoch. */
export interface CheckRecord {
  id: string;
  tenant: string;
  status: CheckStatus;
  createdAt: number;
  startedAt?: number;
  finishedAt?: number;
  /** Receives this check's event, in addition to the tenant's webhook endpoints. */
  webhookUrl?: string;
  /** SHA-256 of the Idempotency-Key that maps to this check. */
  keySha256?: string;
  /** The gateway's URL as the caller used it, for the links in webhooks. */
  baseUrl?: string;
  /** The hosted session that this check is for. */
  sid?: string;
  /** How its caller wants to hear of a weak image; absent for `header`. */
  qualityPolicy?: QualityPolicy;
  /** Set once the check has ended. */
  outcome?: CheckOutcome;
}

/**
 * The outcome as a caller with this policy gets it: `enforce` turns the verdict on a weak image into
 * a refusal with the first code. The stored outcome stays the same.
 */
export function enforceQuality(outcome: CheckOutcome, policy: QualityPolicy): CheckOutcome {
  if (policy !== 'enforce' || 'error' in outcome) return outcome;
  const [first] = outcome.result.quality?.codes ?? [];
  return first ? { error: first } : outcome;
}

/** The check as a caller with this policy gets it: a refused one has `failed`. */
export function enforceQualityOf(check: CheckRecord, policy: QualityPolicy): CheckRecord {
  if (!check.outcome) return check;
  const outcome = enforceQuality(check.outcome, policy);
  return outcome === check.outcome ? check : { ...check, status: 'failed', outcome };
}
