import type { Redis } from './connect.js';
import { LivegateError } from '../domain/errors.js';
import type { Delivery } from '../domain/webhook-delivery.js';
import type { WebhookEndpoint, WebhookSecret } from '../domain/webhooks.js';
import type { WebhookStore } from '../ports.js';
import { updateField, updateKey } from './compare-and-set.js';
import type { Keys } from './keys.js';
import { reachRedis } from './translate-errors.js';

/** Longer than a whole schedule of attempts, so that nothing pending is forgotten. */
const DELIVERY_LIFE_SECONDS = 7 * 24 * 60 * 60;
const MAX_LISTED = 100;

/** KEYS: the tenant's endpoints. ARGV: id, endpoint, limit. */
const ADD_BELOW_LIMIT = `
if redis.call('hlen', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('hset', KEYS[1], ARGV[1], ARGV[2])
return 1`;

export function createRedisWebhookStore(redis: Redis, keys: Keys): WebhookStore {
  return { ...createEndpoints(redis, keys), ...createDeliveries(redis, keys) };
}

function createEndpoints(redis: Redis, keys: Keys) {
  return {
    async addEndpoint(endpoint: WebhookEndpoint, maxEndpoints: number) {
      const key = keys.webhookEndpoints(endpoint.tenant);
      const fields = [endpoint.id, JSON.stringify(endpoint), maxEndpoints];
      const added = await reachRedis(() => redis.eval(ADD_BELOW_LIMIT, 1, key, ...fields));
      if (added !== 1) throw new LivegateError('too_many_endpoints');
    },
    async listEndpoints(tenant) {
      const endpoints = await reachRedis(() => redis.hvals(keys.webhookEndpoints(tenant)));
      return endpoints.map(parseEndpoint).toSorted((a, b) => a.createdAt - b.createdAt);
    },
    async readEndpoint({ tenant, id }) {
      const endpoint = await reachRedis(() => redis.hget(keys.webhookEndpoints(tenant), id));
      return endpoint === null ? undefined : parseEndpoint(endpoint);
    },
    updateEndpoint({ tenant, id }, change) {
      const field = { key: keys.webhookEndpoints(tenant), field: id };
      return reachRedis(() => updateField(redis, field, change));
    },
    async removeEndpoint({ tenant, id }) {
      const removed = await reachRedis(() => redis.hdel(keys.webhookEndpoints(tenant), id));
      if (removed === 1) await reachRedis(() => redis.unlink(keys.deliveries(id)));
      return removed === 1;
    },
    async readTenantSecrets(tenant) {
      const secrets = await reachRedis(() => redis.get(keys.webhookSecrets(tenant)));
      return secrets === null ? [] : (JSON.parse(secrets) as WebhookSecret[]);
    },
    async updateTenantSecrets(tenant, change) {
      const key = keys.webhookSecrets(tenant);
      await reachRedis(() => redis.setnx(key, '[]'));
      return (await reachRedis(() => updateKey(redis, { key }, change))) ?? [];
    },
  } satisfies Partial<WebhookStore>;
}

function createDeliveries(redis: Redis, keys: Keys) {
  return {
    addDelivery: (delivery: Delivery) => reachRedis(() => addDelivery(redis, keys, delivery)),
    async readDelivery(id) {
      const delivery = await reachRedis(() => redis.get(keys.delivery(id)));
      return delivery === null ? undefined : parseDelivery(delivery);
    },
    updateDelivery(id, change) {
      const slot = { key: keys.delivery(id), lifeSeconds: DELIVERY_LIFE_SECONDS };
      return reachRedis(() => updateKey(redis, slot, change));
    },
    listDeliveries: (endpointId) => reachRedis(() => listDeliveries(redis, keys, endpointId)),
    async eraseDeliveries(ids) {
      if (ids.length > 0) await reachRedis(() => redis.unlink(ids.map(keys.delivery)));
    },
  } satisfies Partial<WebhookStore>;
}

/** The log first: an id in it whose delivery is missing is passed over when it is read. */
async function addDelivery(redis: Redis, keys: Keys, delivery: Delivery): Promise<boolean> {
  const { id, target, createdAt } = delivery;
  if ('endpointId' in target) {
    const log = keys.deliveries(target.endpointId);
    await redis
      .multi()
      .zadd(log, 'NX', createdAt, id)
      .zremrangebyrank(log, 0, -1 - MAX_LISTED)
      .expire(log, DELIVERY_LIFE_SECONDS)
      .exec();
  }
  const record = JSON.stringify(delivery);
  const life = DELIVERY_LIFE_SECONDS;
  return (await redis.set(keys.delivery(id), record, 'EX', life, 'NX')) === 'OK';
}

async function listDeliveries(redis: Redis, keys: Keys, endpointId: string): Promise<Delivery[]> {
  const ids = await redis.zrevrange(keys.deliveries(endpointId), 0, MAX_LISTED - 1);
  if (ids.length === 0) return [];
  const records = await redis.mget(ids.map(keys.delivery));
  return records.filter((record) => record !== null).map(parseDelivery);
}

function parseEndpoint(json: string): WebhookEndpoint {
  return JSON.parse(json) as WebhookEndpoint;
}

function parseDelivery(json: string): Delivery {
  return JSON.parse(json) as Delivery;
}
