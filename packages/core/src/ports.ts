import type { CheckJob, CheckOutcome, CheckRecord } from './domain/check.js';
import type { LivegateError } from './domain/errors.js';
import type { Flows, RankRequest } from './domain/fair-queueing.js';
import type { WorkerFacts } from './domain/models.js';
import type { Lease } from './domain/operation/leases.js';
import type { Session } from './domain/sessions/session.js';
import type { AnnouncedCheck } from './ports/webhooks.js';

export type { Monitoring, SamplePage } from './ports/monitoring.js';
export {
  type AnnouncedCheck,
  type EndpointAddress,
  WEBHOOK_QUEUE,
  type WebhookJob,
  type WebhookQueue,
  type WebhookStore,
} from './ports/webhooks.js';

/** BullMQ's name for the queue of checks. */
export const CHECK_QUEUE = 'liveness';

/** TTL of a worker's registration: without a renewal, the worker counts as dead. */
export const REGISTRATION_TTL_SECONDS = 6;

/**
 * The ports that the apps use. Each has a Redis adapter and an in-memory fake, which pass the same
 * contract suite (`@livegate/testing`).
 *
 * All methods reject with `LivegateError` `unavailable` when Redis does not answer in time, and
 * with `overloaded` when Redis is out of memory.
 */

/** Image bytes, stored apart from the queue, which carries only their id (a claim check). */
export interface ImageStore {
  /** The bytes expire after the store's TTL. */
  put(id: string, bytes: Uint8Array): Promise<void>;
  /**
   * In the order of `ids`; `undefined` for a missing image, an error for one that cannot be
   * decrypted. Reading does not delete.
   */
  get(ids: string[]): Promise<(Uint8Array | LivegateError | undefined)[]>;
  /** Idempotent, because a check may be finished twice. */
  delete(id: string): Promise<void>;
  /** Rejects while the store is unreachable. */
  ping(): Promise<void>;
}

/** The gateway's side of the queue. `domain/fair-queueing.ts` has the order of checks. */
export interface CheckQueue {
  /** The rank of a check that is about to be queued. Throws `overloaded` if it would wait too long. */
  takeRank(request: RankRequest): Promise<number>;
  /** Ignores a second job with the same id. Without a rank, it gets one however long it waits. */
  add(id: string, job: CheckJob, rank?: number): Promise<void>;
  /** `undefined` for an unknown, expired or hidden id. */
  read(id: string): Promise<CheckRecord | undefined>;
  /** A queued check never runs; a running one is `canceled` at its end. False: it had ended. */
  cancel(id: string): Promise<boolean>;
  /** From now on `read` does not find the check. Cancels an unfinished one. */
  hide(id: string): Promise<void>;
  /** Hides the check and removes it; a worker removes a running one when it ends. */
  delete(id: string): Promise<void>;
  /** Hidden checks that are not removed yet. */
  listHidden(): Promise<DeletableCheck[]>;
  /** Runs an async check as one with a waiting caller, if it is queued. */
  prioritize(id: string): Promise<void>;
  /** Runs a check, if it is queued, as an async one or when no other check waits. */
  defer(id: string, to: 'async' | 'last'): Promise<void>;
  /** How much of each tenant's work is queued. */
  readFlows(): Promise<Flows>;
  /** The number of checks that no worker has taken yet. */
  countWaiting(): Promise<number>;
  /** The schema version of the stored data; on an empty store, the first call sets it. */
  readSchemaVersion(): Promise<number>;
}

export type Cancellation = 'canceled' | 'deleted';

/** The canceled and deleted checks, as the worker sees them. */
export interface Cancellations {
  /** The ids among these that were canceled or deleted before their end. */
  find(ids: string[]): Promise<Map<string, Cancellation>>;
  /** As `cancel` of `CheckQueue`. */
  cancel(id: string): Promise<boolean>;
  /** Removes what is left of a deleted check after its job has been removed. */
  forget(id: string): Promise<void>;
}

/** Waits for the outcome of one check. After the release, `within` resolves to `undefined`. */
export interface ReplyWaiter extends Lease {
  /** `undefined` if no reply came within `waitMs`; a further call waits again. */
  within(waitMs: number): Promise<CheckOutcome | undefined>;
}

/** Receives the outcomes of checks for one gateway. */
export interface ReplyInbox {
  /** The `replyTo` of a job, to which its worker replies. */
  readonly address: string;
  /**
   * For a check that this gateway submits. Call it before adding the job, so that no reply is
   * missed.
   */
  expect(id: string): ReplyWaiter;
  /** For a check that is already queued. Read the queue afterwards: it may have ended before. */
  attach(id: string): Promise<ReplyWaiter>;
  close(): Promise<void>;
}

/** A check whose outcome is sent. */
export interface RepliedCheck extends Pick<CheckJob, 'tenant' | 'replyTo'> {
  id: string;
}

/** Sends outcomes to the inboxes of all gateways. */
export interface ReplyOutbox {
  /**
   * Sends to every gateway that attached to the check, and to the one at `replyTo`. A check that was
   * canceled or deleted before its end is sent as `canceled`. Resolves to what was found meanwhile.
   */
  send(check: RepliedCheck, outcome: CheckOutcome): Promise<Omit<Demand, 'caller'>>;
}

/** The check that an Idempotency-Key maps to. */
export interface KeyClaim {
  id: string;
  /** Made by `ImageHasher`: a retry has the same image, and another image is refused. */
  imageSha256: string;
  /** Set once the image is stored; the check is queued, or will be next. */
  isStored?: true;
  /** Another request was answered with this check, so its own must not withdraw it. */
  isJoined?: true;
  /** Its own request has failed and removes the check: no other request may join it. */
  isWithdrawn?: true;
}

/** One tenant's key, hashed: a caller's key may be long and contain any characters. */
export interface KeyAddress {
  tenant: string;
  keySha256: string;
}

/** Idempotency keys, by tenant. A claim has the TTL of a result. */
export interface IdempotencyKeys {
  /** Claims a free key. Resolves to the current claim, which may be an earlier one. */
  claim(at: KeyAddress, claim: KeyClaim): Promise<KeyClaim>;
  /** Replaces `held` by `next` if `held` is still the current claim. Resolves like `claim`. */
  replace(at: KeyAddress, held: KeyClaim, next: KeyClaim): Promise<KeyClaim>;
  /** Marks `held` as joined; false if it is not the current claim. Never claims a free key. */
  join(at: KeyAddress, held: KeyClaim): Promise<boolean>;
  /** Frees the key if it maps to this check. */
  release(at: KeyAddress, id: string): Promise<void>;
}

/** The fields by which everything that is stored about a check can be found. */
export interface DeletableCheck extends AnnouncedCheck {
  keySha256?: string;
}

/** The live workers. A registration expires unless it is renewed. */
export interface WorkerRegistry {
  register(facts: WorkerFacts): Promise<void>;
  unregister(id: string): Promise<void>;
  list(): Promise<WorkerFacts[]>;
}

/** The gateways whose callers wait. A registration expires unless it is renewed. */
export interface GatewayRegistry {
  /** Records that the gateway is alive. It counts as gone after `goneMs` without another call. */
  renew(address: string, goneMs: number): Promise<void>;
}

/** A check for which a worker asks who wants it. */
export interface AwaitedCheck {
  id: string;
  tenant: string;
  /**
   * The address of the gateway at which its caller waits, if nobody else wants the check: it has no
   * key, no `webhook_url` and no session.
   */
  waiter?: string | undefined;
}

/** Who wants a check at the moment. */
export interface Demand {
  cancellation?: Cancellation | undefined;
  /**
   * `gone` if no caller can wait any more; `away` if the gateway is late, so that this is not known.
   * Absent if the gateway is alive, if the tenant has webhook endpoints, or without `waiter`.
   */
  caller?: 'away' | 'gone' | undefined;
  /** Whether the tenant has webhook endpoints. */
  hasEndpoints: boolean;
}

/** What a worker asks about its checks, in one round trip. */
export interface Demands {
  /** In the order of the checks. */
  find(checks: AwaitedCheck[]): Promise<Demand[]>;
}

/** Where the lines of one audit chain go. Each line is JSON without a line break. */
export interface AuditSink {
  /** Appends all lines or, if it rejects, none. They are as safe as the store can make them. */
  append(lines: string[]): Promise<void>;
  /** Removes a chain without lines. */
  discard(): Promise<void>;
  close(): Promise<void>;
}

/** Counts the requests of each tenant, or of another key with a colon, across all gateways. */
export interface RateLimiter {
  /** Throws `rate_limited` with the seconds until the window ends. 0 per minute means no limit. */
  consume(tenant: string, perMinute: number): Promise<void>;
}

/** The hosted sessions. Changes are atomic, also between gateways. */
export interface SessionStore {
  /** The record expires `keepMs` after the session does, so that its tenant can still read it. */
  add(session: Session, keepMs: number): Promise<void>;
  read(sid: string): Promise<Session | undefined>;
  /**
   * Resolves to the changed session; `undefined` for an unknown one. `change` is called again with
   * the newer session when another process has changed it meanwhile; what it throws, this rejects
   * with. The record keeps its expiry.
   */
  update(sid: string, change: (latest: Session) => Session): Promise<Session | undefined>;
  /** Deletes the session and the marks of its images. Resolves to what it deleted. */
  delete(sid: string): Promise<Session | undefined>;
  /**
   * A hash of the image under a random key of the tenant, so that it can be computed only with Redis.
   * The key changes after two days without sessions.
   */
  hashImage(tenant: string, image: Uint8Array): Promise<string>;
  /**
   * Marks the image as one of this session, unless another session has marked it within a day: then
   * resolves to true and leaves that mark.
   */
  isRepeated(image: { tenant: string; mac: string; sid: string }): Promise<boolean>;
}
