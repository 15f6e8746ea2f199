import type { Refusal } from './errors.js';
import type { Verdict } from './verdict.js';

/**
 * Version of where everything is in Redis, and of all that is kept there but a queued check. A gateway
 * that finds another one refuses to work rather than misread it, so such a change needs a migration.
 */
export const SCHEMA_VERSION = 1;

/**
 * Version of the checks that a gateway of this code queues. It changes when a worker of the former one
 * would misread them: what that may ignore is no new version. See docs/explanation/decisions/0007.
 */
export const JOB_VERSION = 1;

/**
 * Versions of checks that a worker of this code reads: its own and the former one, so that workers can
 * be replaced before gateways.
 */
export const READABLE_JOB_VERSIONS: readonly number[] = [JOB_VERSION];

/** What travels in the queue for one check: ids and small facts, never image bytes. */
export interface CheckJob {
  /** The `JOB_VERSION` of the gateway that queued it. */
  version: number;
  /** The tenant whose credentials sent the image. */
  tenant: string;
  /** Address of the gateway that waits for the outcome; absent when nobody does. */
  replyTo?: string;
  /** Where this one check is to be announced, beside the tenant's own webhook endpoints. */
  webhookUrl?: string;
  /** SHA-256 of the Idempotency-Key that stands for this check, for deleting it. */
  keySha256?: string;
  /** Where its caller reached the gateway, for the links in webhooks; see `baseUrlOf`. */
  baseUrl?: string;
  imageBytes: number;
}

/** How long the stages of one check took, in milliseconds. */
export interface StageTimings {
  decodeMs: number;
  detectMs: number;
  classifyMs: number;
  /** From the moment a worker took the job until its verdict. */
  workerMs: number;
}

/** To a tenth of a millisecond: more is noise. */
export function roundMs(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** A finished check, as the queue stores it: the caller's answer, and how it came about. */
export interface CheckResult {
  verdict: Verdict;
  /** Name, version and short hash of the models used: the `Livegate-Model` header. */
  model: string;
  timings: StageTimings;
}

/** How a check ended: with a verdict of any kind, or without one and why. */
export type CheckOutcome = { result: CheckResult } | Refusal;

/**
 * The life of a check:
 *
 *     queued ──▶ processing ──▶ succeeded | failed
 *        │  ◀──retry──┘ │
 *        └──────────────┴─────▶ canceled
 */
export type CheckStatus = 'queued' | 'processing' | 'succeeded' | 'failed' | 'canceled';

/** A worker that dies, and a fault of ours that is tried again, put a check back into the queue. */
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

/** Where the queue has a job. A job that waits for its next attempt is waiting, too. */
export type JobState = 'waiting' | 'running' | 'completed' | 'failed';

/** Cancelling ends a waiting check at once, and a running one when it ends. */
export function statusOf(state: JobState, cancelRequested: boolean): CheckStatus {
  if (state === 'running') return 'processing';
  if (cancelRequested) return 'canceled';
  return ({ waiting: 'queued', completed: 'succeeded', failed: 'failed' } as const)[state];
}

/** What is known of one check. Times are milliseconds since the epoch. */
export interface CheckRecord {
  id: string;
  tenant: string;
  status: CheckStatus;
  createdAt: number;
  startedAt?: number;
  finishedAt?: number;
  /** Where this check is announced, beside the tenant's own webhook endpoints. */
  webhookUrl?: string;
  /** SHA-256 of the Idempotency-Key that stands for this check. */
  keySha256?: string;
  /** Where its caller reached the gateway, for the links in webhooks. */
  baseUrl?: string;
  /** Of a finished check. */
  outcome?: CheckOutcome;
}
