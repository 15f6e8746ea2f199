import type { CheckJob, CheckOutcome, CheckRecord } from './domain/check.js';
import type { WorkerFacts } from './domain/models.js';
import type { Delivery } from './domain/webhook-delivery.js';
import type { WebhookEndpoint, WebhookSecret } from './domain/webhooks.js';
import type { Lease } from './domain/leases.js';

/** BullMQ's name of the queue that carries liveness checks. */
export const CHECK_QUEUE = 'liveness';
/** BullMQ's name of the queue that carries announcements and deliveries. */
export const WEBHOOK_QUEUE = 'webhooks';

/** A worker counts as dead when it has not registered for this long. */
export const HEARTBEAT_LIFE_SECONDS = 6;

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
  /** Rejects while the images cannot be reached. */
  ping(): Promise<void>;
}

/**
 * The gateway's end of the queue. A check that somebody waits for, whose job has a `replyTo`, runs before
 * those that nobody waits for.
 */
export interface CheckQueue {
  /** A second job of the same id is ignored. */
  add(id: string, job: CheckJob): Promise<void>;
  /** `undefined` for an id that is not known (any more). */
  read(id: string): Promise<CheckRecord | undefined>;
  /** A queued check never runs; a running one is marked when it ends. False: it had ended. */
  cancel(id: string): Promise<boolean>;
  /** From now on the check is not known; an unfinished one is cancelled, too. */
  hide(id: string): Promise<void>;
  /** Hides the check and removes it; a worker removes a running one when it ends. */
  delete(id: string): Promise<void>;
  /** Checks that are hidden and not removed yet. */
  listHidden(): Promise<DeletableCheck[]>;
  /** Somebody waits for it now. Does nothing for a check that is not queued. */
  prioritize(id: string): Promise<void>;
  /** How many checks no worker has taken yet. */
  countWaiting(): Promise<number>;
  /** Version of the data in the queue; the first process to ask on an empty store sets it. */
  readSchemaVersion(): Promise<number>;
}

export type Cancellation = 'canceled' | 'deleted';

/** The worker's view of the checks whose answer nobody wants any more. */
export interface Cancellations {
  /** Those of the ids that were cancelled or deleted before their end. */
  find(ids: string[]): Promise<Map<string, Cancellation>>;
  /** Deletes every trace of an deleted check whose job has been removed. */
  forget(id: string): Promise<void>;
}

/** One caller waiting for one outcome. Once it is released, `within` resolves to `undefined`. */
export interface ReplyWaiter extends Lease {
  /** `undefined` when no reply came within `waitMs`; asking again goes on waiting. */
  within(waitMs: number): Promise<CheckOutcome | undefined>;
}

/** Where one gateway receives the outcomes of checks. */
export interface ReplyInbox {
  /** Travels with a job, so that its worker knows where to reply. */
  readonly address: string;
  /** For a check of one's own. Call before it is queued: not even the fastest reply is missed. */
  expect(id: string): ReplyWaiter;
  /** For a check that is on its way already. It may have ended before: read the queue afterwards. */
  attach(id: string): Promise<ReplyWaiter>;
  close(): Promise<void>;
}

/** The worker's end of every gateway's inbox. */
export interface ReplyOutbox {
  /** Tells all who attached to the check, and the gateway at the address if there is one. */
  send(id: string, outcome: CheckOutcome, address?: string): Promise<void>;
}

/** Which check a caller's Idempotency-Key stands for. */
export interface KeyClaim {
  id: string;
  /** SHA-256 of the image, to tell a retry from a mistake. */
  imageSha256: string;
  /** Its image is stored, and its check is queued next or has been. */
  isStored?: true;
}

/** One key of one tenant. A caller's key may be long or hold anything; its hash is neither. */
export interface KeyAddress {
  tenant: string;
  keySha256: string;
}

/** Idempotency keys, by tenant. A claim lives as long as a result does. */
export interface IdempotencyKeys {
  /** Claims a free key. Resolves to the claim in force, which may be an earlier one. */
  claim(at: KeyAddress, claim: KeyClaim): Promise<KeyClaim>;
  /** Puts `next` in the place of `held`, if that is still in force. Resolves like `claim`. */
  replace(at: KeyAddress, held: KeyClaim, next: KeyClaim): Promise<KeyClaim>;
  /** Frees the key if it stands for this check. */
  release(at: KeyAddress, id: string): Promise<void>;
}

/** What is told of a check before and after it ends, for its webhooks. */
export interface AnnouncedCheck {
  id: string;
  tenant: string;
  webhookUrl?: string;
}

/** What leads from a check to all that is kept about it. */
export interface DeletableCheck extends AnnouncedCheck {
  keySha256?: string;
}

/** Which workers are alive. A registration expires unless it is repeated. */
export interface WorkerRegistry {
  register(facts: WorkerFacts): Promise<void>;
  unregister(id: string): Promise<void>;
  list(): Promise<WorkerFacts[]>;
}

/** Counts requests per tenant over all gateways. */
export interface RateLimiter {
  /** Throws `rate_limited`, with the seconds until the window ends. 0 per minute means no limit. */
  consume(tenant: string, perMinute: number): Promise<void>;
}

/** An endpoint of a tenant; another tenant's id leads nowhere. */
export type EndpointAddress = Pick<WebhookEndpoint, 'tenant' | 'id'>;

/**
 * The tenants' webhook endpoints, their secrets, and the log of deliveries. Changes are atomic: a
 * `change` is called again with the newer value when another process was faster.
 */
export interface WebhookStore {
  /** Throws `too_many_endpoints` when the tenant has `maxEndpoints` already. */
  addEndpoint(endpoint: WebhookEndpoint, maxEndpoints: number): Promise<void>;
  /** The oldest first. */
  listEndpoints(tenant: string): Promise<WebhookEndpoint[]>;
  readEndpoint(at: EndpointAddress): Promise<WebhookEndpoint | undefined>;
  /** Resolves to the changed endpoint; `undefined` if there is none. */
  updateEndpoint(
    at: EndpointAddress,
    change: (latest: WebhookEndpoint) => WebhookEndpoint,
  ): Promise<WebhookEndpoint | undefined>;
  /** With all its deliveries. False if there is none. */
  removeEndpoint(at: EndpointAddress): Promise<boolean>;

  /** The secrets that sign what goes to a check's own `webhook_url`; empty before the first. */
  readTenantSecrets(tenant: string): Promise<WebhookSecret[]>;
  updateTenantSecrets(
    tenant: string,
    change: (latest: WebhookSecret[]) => WebhookSecret[],
  ): Promise<WebhookSecret[]>;

  /** False, and nothing changes, when there is one of this id, or its endpoint is gone. */
  addDelivery(delivery: Delivery): Promise<boolean>;
  readDelivery(id: string): Promise<Delivery | undefined>;
  updateDelivery(id: string, change: (latest: Delivery) => Delivery): Promise<Delivery | undefined>;
  /** The latest 100 of one endpoint, newest first. Of those that have ended no more are kept. */
  listDeliveries(endpointId: string): Promise<Delivery[]>;
  /** With their payloads. What is pending is not sent any more. */
  deleteDeliveries(ids: string[]): Promise<void>;
}

/** What travels in the webhooks queue: ids and small facts, never a payload. */
export type WebhookJob =
  | { kind: 'announce'; check: AnnouncedCheck }
  | { kind: 'deliver'; deliveryId: string; receiver: string; tenant?: string };

/**
 * A way to the api processes, which deliver: on a queue of its own, apart from every model. Deliveries
 * that one tenant has queued by the thousand do not go before those of the others.
 */
export interface WebhookQueue {
  /**
   * Call when a check is about to end and once it has: repeating it makes no second message. Does
   * nothing for a check that nobody wants to hear of.
   */
  announce(check: AnnouncedCheck): Promise<void>;
  /** Queues the first attempt, unless the delivery is in the queue already. */
  deliver(delivery: Delivery): Promise<void>;
  /** The same, and an attempt that waits for its time is made now. */
  deliverNow(delivery: Delivery): Promise<void>;
  /** Removes the check's announcement and the deliveries; what is under way ends by itself. */
  withdraw(checkId: string, deliveryIds: string[]): Promise<void>;
}
