import type { Delivery } from '../domain/webhook-delivery.js';
import type { WebhookEndpoint, WebhookSecret } from '../domain/webhooks.js';

/** BullMQ's name for the queue of webhook announcements and deliveries. */
export const WEBHOOK_QUEUE = 'webhooks';

/** A check as it is announced to the webhooks queue. */
export interface AnnouncedCheck {
  id: string;
  tenant: string;
  webhookUrl?: string;
}

/** A tenant and the id of one of its endpoints; another tenant's id finds nothing. */
export type EndpointAddress = Pick<WebhookEndpoint, 'tenant' | 'id'>;

/**
 * The tenants' webhook endpoints, their secrets, and the log of deliveries. Changes are atomic:
 * `change` is called again with the newer value when another process has changed it meanwhile.
 */
export interface WebhookStore {
  /** Throws `too_many_endpoints` when the tenant has `maxEndpoints` already. */
  addEndpoint(endpoint: WebhookEndpoint, maxEndpoints: number): Promise<void>;
  /** Oldest first. */
  listEndpoints(tenant: string): Promise<WebhookEndpoint[]>;
  readEndpoint(at: EndpointAddress): Promise<WebhookEndpoint | undefined>;
  /** Resolves to the changed endpoint; `undefined` for an unknown one. */
  updateEndpoint(
    at: EndpointAddress,
    change: (latest: WebhookEndpoint) => WebhookEndpoint,
  ): Promise<WebhookEndpoint | undefined>;
  /** Removes the endpoint. Resolves to the ids of its deliveries; `undefined` for an unknown one. */
  removeEndpoint(at: EndpointAddress): Promise<string[] | undefined>;

  /** The secrets that sign deliveries to a check's own `webhook_url`; empty before the first. */
  readTenantSecrets(tenant: string): Promise<WebhookSecret[]>;
  updateTenantSecrets(
    tenant: string,
    change: (latest: WebhookSecret[]) => WebhookSecret[],
  ): Promise<WebhookSecret[]>;

  /** False, without a change, if the id exists or the endpoint does not. */
  addDelivery(delivery: Delivery): Promise<boolean>;
  readDelivery(id: string): Promise<Delivery | undefined>;
  updateDelivery(id: string, change: (latest: Delivery) => Delivery): Promise<Delivery | undefined>;
  /** The pending deliveries to this endpoint, or to all URLs of the tenant's checks. */
  countPending(of: Pick<Delivery, 'tenant' | 'target'>): Promise<number>;
  /** The latest 100 deliveries of an endpoint, newest first. At most 100 ended ones are kept. */
  listDeliveries(endpointId: string): Promise<Delivery[]>;
  /** Deletes the records with their payloads. A pending delivery is not sent any more. */
  deleteDeliveries(ids: string[]): Promise<void>;
}

/** The data of a job in the webhooks queue: ids and small facts, never a payload. */
export type WebhookJob =
  | { kind: 'announce'; check: AnnouncedCheck }
  | { kind: 'deliver'; deliveryId: string; receiver: string; tenant?: string };

/**
 * The queue of announcements and deliveries, which the gateways process. A tenant that queues
 * thousands of deliveries does not delay those of other tenants.
 */
export interface WebhookQueue {
  /**
   * Call it before a check ends and again after its end: the second call adds no second message.
   * Does nothing for a check without a webhook. `hasEndpoints` says whether its tenant has endpoints,
   * if that has just been looked up.
   */
  announce(check: AnnouncedCheck, hasEndpoints?: boolean): Promise<void>;
  /** Queues the first attempt, unless the delivery is queued already. */
  deliver(delivery: Delivery): Promise<void>;
  /** Like `deliver`, but a delayed attempt is made now. */
  deliverNow(delivery: Delivery): Promise<void>;
  /** Removes the check's announcement and the deliveries; an active job runs to its end. */
  withdraw(jobs: { checkId?: string; deliveryIds: string[] }): Promise<void>;
}
