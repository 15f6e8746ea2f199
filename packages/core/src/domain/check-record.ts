import type { CheckOutcome } from './check.js';

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
