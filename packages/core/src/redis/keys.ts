import { CHECK_QUEUE } from '../ports.js';

/**
 * Every Redis key of the product. The prefix (default `{livegate}`) is also BullMQ's; its braces
 * are a Redis Cluster hash tag, so that all keys of one installation share a slot.
 */
export function createKeys(prefix: string) {
  return {
    prefix,
    image: (id: string) => `${prefix}:image:${id}`,
    /** BullMQ's own hash of one job. */
    job: (id: string) => `${prefix}:${CHECK_QUEUE}:${id}`,
    cancellation: (id: string) => `${prefix}:canceled:${id}`,
    /** Ids of checks that are being deleted. */
    deleting: `${prefix}:deleting`,
    /** BullMQ's own stream of what happened in one queue. */
    events: (queue: string) => `${prefix}:${queue}:events`,
    /** Addresses of the gateways that attached to a check. */
    attached: (id: string) => `${prefix}:attached:${id}`,
    idempotency: (tenant: string, keySha256: string) => `${prefix}:key:${tenant}:${keySha256}`,
    replies: (gatewayId: string) => `${prefix}:replies:${gatewayId}`,
    schema: `${prefix}:schema`,
    worker: (id: string) => `${prefix}:worker:${id}`,
    workers: `${prefix}:workers`,
    rateLimit: `${prefix}:rate`,
    /** Hash of one tenant's endpoints, by id. */
    webhookEndpoints: (tenant: string) => `${prefix}:webhook-endpoints:${tenant}`,
    webhookSecrets: (tenant: string) => `${prefix}:webhook-secrets:${tenant}`,
    /** How many deliveries a tenant has queued lately. */
    webhookRank: (tenant: string) => `${prefix}:webhook-rank:${tenant}`,
    delivery: (id: string) => `${prefix}:delivery:${id}`,
    /** Sorted set of one endpoint's delivery ids, by time. */
    deliveries: (endpointId: string) => `${prefix}:deliveries:${endpointId}`,
    /** Those of them that have ended. */
    endedDeliveries: (endpointId: string) => `${prefix}:ended-deliveries:${endpointId}`,
  };
}

/** The keys of one installation. */
export type Keys = ReturnType<typeof createKeys>;
