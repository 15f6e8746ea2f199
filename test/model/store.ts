import type { CheckResult } from '@livegate/core/domain';
import type {
  Cancellations,
  CheckQueue,
  IdempotencyKeys,
  ImageStore,
  ReplyInbox,
  ReplyOutbox,
} from '@livegate/core/ports';
import type { TakenJob } from '../../apps/worker/src/jobs/take-jobs.js';

/** A job that a worker has taken. */
export interface Taken {
  job: TakenJob;
  complete(result: CheckResult): Promise<void>;
  /** False: the job waits for its next attempt, which may begin at once. */
  fail(error: Error): Promise<boolean>;
  /** The worker dies, and the queue finds out. */
  stall(): Promise<void>;
}

/** All that gateways and workers share, in memory or in Redis. */
export interface Store {
  queue: CheckQueue & Cancellations;
  imageStore: ImageStore;
  idempotencyKeys: IdempotencyKeys;
  outbox: ReplyOutbox;
  createInbox(gatewayId: string): ReplyInbox;
  takeNext(): Promise<Taken | undefined>;
  /** A finished check lives past its retention. */
  expireResult(id: string): Promise<void>;
  /** Resolves when whatever was begun has ended, or waits for a timer. */
  settle(): Promise<void>;
  /** Throws if anything is left of a check. */
  requireNoTrace(id: string): Promise<void>;
}
