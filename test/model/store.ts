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
  /** False: the job waits for its next attempt, which may start at once. */
  fail(error: Error): Promise<boolean>;
  /** The worker dies, and BullMQ finds the stalled job. */
  stall(): Promise<void>;
}

/** The ports that gateways and workers share, in memory or in Redis. */
export interface Store {
  queue: CheckQueue & Cancellations;
  imageStore: ImageStore;
  idempotencyKeys: IdempotencyKeys;
  outbox: ReplyOutbox;
  createInbox(gatewayId: string): ReplyInbox;
  takeNext(): Promise<Taken | undefined>;
  /** Makes a finished check older than its TTL. */
  expireResult(id: string): Promise<void>;
  /** Resolves when all pending calls have ended or wait for a timer. */
  settle(): Promise<void>;
  /** Throws if any key of a check is left. */
  requireNoTrace(id: string): Promise<void>;
}
