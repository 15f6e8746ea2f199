import type { CheckJob, CheckOutcome } from './domain/check.js';
import type { CheckRecord } from './domain/check-record.js';
import type { WorkerFacts } from './domain/models.js';
import type { ReplyWaiter } from './domain/reply-waiters.js';

/**
 * What the apps are given. Every port has a Redis adapter and an in-memory fake, and both pass the
 * same contract suite (`@livegate/core/testing`).
 *
 * All methods reject with `LivegateError` `unavailable` when the store behind them cannot be
 * reached in time, and with `overloaded` when it has no memory left.
 */

/** The claim check: image bytes wait here while only their id travels through the queue. */
export interface ImageStore {
  /** The bytes expire by themselves after the store's configured life. */
  put(id: string, bytes: Uint8Array): Promise<void>;
  /** In the order of `ids`; `undefined` for bytes that are gone. Reading does not remove them. */
  get(ids: string[]): Promise<(Uint8Array | undefined)[]>;
  /** Idempotent: finishing a check may happen twice. */
  delete(id: string): Promise<void>;
}

/** The gateway's end of the queue. */
export interface CheckQueue {
  add(id: string, job: CheckJob): Promise<void>;
  /** `undefined` for an id that is not known (any more). */
  read(id: string): Promise<CheckRecord | undefined>;
  /** A queued check never runs; a running one is marked when it ends. False if it had ended. */
  cancel(id: string): Promise<boolean>;
  /** The check is not known any more at once; an unfinished one is canceled first. */
  erase(id: string): Promise<void>;
  /** How many checks no worker has taken yet. */
  countWaiting(): Promise<number>;
  /** Version of the data in the queue; the first process to ask on an empty store sets it. */
  readSchemaVersion(): Promise<number>;
}

/** Where one gateway receives the outcomes of the checks it submitted. */
export interface ReplyInbox {
  /** Travels with each job, so that a worker knows where to reply. */
  readonly address: string;
  /** Call before the job is queued, so that not even the fastest reply is missed. */
  expect(id: string): ReplyWaiter;
  close(): Promise<void>;
}

/** The worker's end of every gateway's inbox. */
export interface ReplyOutbox {
  send(address: string, id: string, outcome: CheckOutcome): Promise<void>;
}

/** Which workers are alive. An announcement lapses by itself when it is not repeated. */
export interface WorkerRegistry {
  announce(facts: WorkerFacts): Promise<void>;
  withdraw(id: string): Promise<void>;
  list(): Promise<WorkerFacts[]>;
}

/** Counts requests per tenant over all gateways. */
export interface RateLimiter {
  /** Throws `rate_limited`, with the seconds until the window ends. 0 per minute means no limit. */
  consume(tenant: string, perMinute: number): Promise<void>;
}
