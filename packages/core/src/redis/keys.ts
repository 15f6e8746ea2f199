import { CHECK_QUEUE } from '../ports.js';

/**
 * Every Redis key of the product. BullMQ uses the same prefix (default `{livegate}`). Its braces
 * are a Redis Cluster hash tag, so that all keys of one installation are in one slot.
 */
export function createKeys(prefix: string) {
  return {
    prefix,
    image: (id: string) => `${prefix}:image:${id}`,
    /** BullMQ's hash of one job. */
    job: (id: string) => `${prefix}:${CHECK_QUEUE}:${id}`,
    cancellation: (id: string) => `${prefix}:canceled:${id}`,
    /** Hash of the tenants with queued checks: how much of their work waits. */
    flows: `${prefix}:flows`,
    /** Ids of checks that are being deleted. */
    deleting: `${prefix}:deleting`,
    /** BullMQ's event stream of one queue. */
    events: (queue: string) => `${prefix}:${queue}:events`,
    /** Addresses of the gateways that attached to a check's reply. */
    attached: (id: string) => `${prefix}:attached:${id}`,
    idempotency: (tenant: string, keySha256: string) => `${prefix}:key:${tenant}:${keySha256}`,
    replies: (gatewayId: string) => `${prefix}:replies:${gatewayId}`,
    schema: `${prefix}:schema`,
    session: (sid: string) => `${prefix}:session:${sid}`,
    /** The session that sent an image first, by the image's keyed hash. */
    sessionImage: (tenant: string, mac: string) => `${prefix}:session-image:${tenant}:${mac}`,
    /** The key of a tenant's image hashes. */
    sessionImageKey: (tenant: string) => `${prefix}:session-image-key:${tenant}`,
    /** The registration of a gateway, by its address. */
    gateway: (address: string) => `${prefix}:gateway:${address}`,
    worker: (id: string) => `${prefix}:worker:${id}`,
    workers: `${prefix}:workers`,
    rateLimit: `${prefix}:rate`,
    /** When a credential was last accepted. */
    credentialUse: (username: string) => `${prefix}:credential-use:${username}`,
    ...createMonitoringKeys(prefix),
    /** Stream of audit lines, one an entry, of all workers. */
    audit: `${prefix}:audit`,
    /** The number of lines that one chain has in it. */
    auditChain: (chain: string) => `${prefix}:audit:${chain}`,
    /** Hash of one tenant's endpoints, by id. */
    webhookEndpoints: (tenant: string) => `${prefix}:webhook-endpoints:${tenant}`,
    webhookSecrets: (tenant: string) => `${prefix}:webhook-secrets:${tenant}`,
    /** The number of deliveries that a tenant has queued within a minute. */
    webhookRank: (tenant: string) => `${prefix}:webhook-rank:${tenant}`,
    delivery: (id: string) => `${prefix}:delivery:${id}`,
    /** Sorted set of one endpoint's delivery ids, by time. */
    deliveries: (endpointId: string) => `${prefix}:deliveries:${endpointId}`,
    /** The same for its ended deliveries. */
    endedDeliveries: (endpointId: string) => `${prefix}:ended-deliveries:${endpointId}`,
    /** The same for the pending deliveries to the `webhook_url` of a tenant's checks. */
    urlDeliveries: (tenant: string) => `${prefix}:url-deliveries:${tenant}`,
  };
}

/** What processes say about themselves and their requests, for the operators' console. */
function createMonitoringKeys(prefix: string) {
  return {
    /** Stream of the samples of all processes. */
    samples: `${prefix}:samples`,
    /** Start of the keys of the tallies of one period; the period's number follows. */
    tallies: (period: string) => `${prefix}:tally:${period}:`,
    /** Hash of the latest failed requests, by error code. */
    failures: `${prefix}:failures`,
    /** Hash of the webhook receivers whose latest attempt failed. */
    failingReceivers: `${prefix}:failing-receivers`,
  };
}

/** The keys of one installation. */
export type Keys = ReturnType<typeof createKeys>;
