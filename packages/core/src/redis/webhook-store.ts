import { LivegateError } from '../domain/errors.js';
import {
  type Delivery,
  deliveryTtlSeconds,
  type DeliveryTarget,
} from '../domain/webhook-delivery.js';
import type { WebhookEndpoint, WebhookSecret } from '../domain/webhooks.js';
import type { WebhookStore } from '../ports.js';
import { reachRedis, type Redis } from './connection/connect.js';
import type { Keys } from './keys.js';
import { receiverField } from './processes/monitoring.js';

/** Most deliveries of one endpoint that are listed, and most ended ones that are kept. */
const MAX_LISTED = 100;
/** TTL of the lists; no listed delivery has a longer one. */
const LIST_TTL_SECONDS = 7 * 24 * 60 * 60;

/** KEYS: the tenant's endpoints. ARGV: id, endpoint, limit. */
const ADD_BELOW_LIMIT = `
if redis.call('hlen', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('hset', KEYS[1], ARGV[1], ARGV[2])
return 1`;

/**
 * KEYS: the tenant's endpoints, one endpoint's two lists, the failing receivers. ARGV: its id, prefix
 * of a delivery's key, its field among the failing receivers.
 */
const REMOVE_ENDPOINT = `
if redis.call('hdel', KEYS[1], ARGV[1]) == 0 then return false end
local ids = redis.call('zrange', KEYS[2], 0, -1)
for _, id in ipairs(ids) do
  redis.call('unlink', ARGV[2] .. id)
end
redis.call('unlink', KEYS[2], KEYS[3])
redis.call('hdel', KEYS[4], ARGV[3])
return ids`;

/**
 * KEYS: the delivery; if its target is an endpoint, the tenant's endpoints and the endpoint's list.
 * ARGV: the record, its TTL, its id, its creation time, the TTL of the list, the endpoint's id.
 */
const ADD_DELIVERY = `
if KEYS[2] and redis.call('hexists', KEYS[2], ARGV[6]) == 0 then return 0 end
if not redis.call('set', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then return 0 end
if KEYS[3] then
  redis.call('zadd', KEYS[3], ARGV[4], ARGV[3])
  redis.call('expire', KEYS[3], ARGV[5])
end
return 1`;

/**
 * KEYS: the delivery; if its target is an endpoint, the lists of all and of ended deliveries. ARGV:
 * the old record, the new record, its TTL, its id, its creation time, the TTL of the lists, whether
 * it has ended (0 or 1), how many ended ones are kept, the prefix of a delivery's key.
 */
const UPDATE_DELIVERY = `
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[2], 'EX', ARGV[3])
if not KEYS[2] then return 1 end
redis.call('expire', KEYS[2], ARGV[6])
if ARGV[7] == '0' then
  redis.call('zrem', KEYS[3], ARGV[4])
  return 1
end
redis.call('zadd', KEYS[3], ARGV[5], ARGV[4])
redis.call('expire', KEYS[3], ARGV[6])
local excess = redis.call('zcard', KEYS[3]) - ARGV[8]
if excess > 0 then
  local oldest = redis.call('zpopmin', KEYS[3], excess)
  for i = 1, #oldest, 2 do
    redis.call('zrem', KEYS[2], oldest[i])
    redis.call('unlink', ARGV[9] .. oldest[i])
  end
end
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
      const lists = [keys.deliveries(id), keys.endedDeliveries(id)];
      const used = [keys.webhookEndpoints(tenant), ...lists, keys.failingReceivers];
      const args = [id, keys.delivery(''), receiverField(tenant, id)];
      const removed = await reachRedis(() =>
        redis.eval(REMOVE_ENDPOINT, used.length, ...used, ...args),
      );
      return (removed as string[] | null) ?? undefined;
    },
    async readTenantSecrets(tenant) {
      const secrets = await reachRedis(() => redis.get(keys.webhookSecrets(tenant)));
      return secrets === null ? [] : (JSON.parse(secrets) as WebhookSecret[]);
    },
    async updateTenantSecrets(tenant, change) {
      const key = keys.webhookSecrets(tenant);
      await reachRedis(() => redis.setnx(key, '[]'));
      return (await reachRedis(() => updateKey(redis, key, change))) ?? [];
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
    updateDelivery: (id, change) => reachRedis(() => updateDelivery({ redis, keys }, id, change)),
    listDeliveries: (endpointId) => reachRedis(() => listDeliveries(redis, keys, endpointId)),
    deleteDeliveries: (ids) => reachRedis(() => deleteDeliveries(redis, keys, ids)),
  } satisfies Partial<WebhookStore>;
}

async function addDelivery(redis: Redis, keys: Keys, delivery: Delivery): Promise<boolean> {
  const { id, tenant, target, createdAt } = delivery;
  const endpointId = endpointOf(target);
  const lists =
    endpointId === undefined ? [] : [keys.webhookEndpoints(tenant), keys.deliveries(endpointId)];
  const used = [keys.delivery(id), ...lists];
  const record = [JSON.stringify(delivery), deliveryTtlSeconds(delivery), id, createdAt];
  const args = [...record, LIST_TTL_SECONDS, endpointId ?? ''];
  return (await redis.eval(ADD_DELIVERY, used.length, ...used, ...args)) === 1;
}

/** Retries with the newer record when another process has changed it between read and write. */
async function updateDelivery(
  { redis, keys }: { redis: Redis; keys: Keys },
  id: string,
  change: (latest: Delivery) => Delivery,
): Promise<Delivery | undefined> {
  for (;;) {
    const from = await redis.get(keys.delivery(id));
    if (from === null) return undefined;
    const changed = change(parseDelivery(from));
    const endpointId = endpointOf(changed.target);
    const lists =
      endpointId === undefined
        ? []
        : [keys.deliveries(endpointId), keys.endedDeliveries(endpointId)];
    const used = [keys.delivery(id), ...lists];
    const record = [JSON.stringify(changed), deliveryTtlSeconds(changed), id, changed.createdAt];
    const hasEnded = changed.status === 'pending' ? 0 : 1;
    const args = [from, ...record, LIST_TTL_SECONDS, hasEnded, MAX_LISTED, keys.delivery('')];
    if ((await redis.eval(UPDATE_DELIVERY, used.length, ...used, ...args)) === 1) return changed;
  }
}

function endpointOf(target: DeliveryTarget): string | undefined {
  return 'endpointId' in target ? target.endpointId : undefined;
}

async function deleteDeliveries(redis: Redis, keys: Keys, ids: string[]): Promise<void> {
  if (ids.length === 0) return;
  const records = await redis.mget(ids.map(keys.delivery));
  const deleting = redis.multi().unlink(ids.map(keys.delivery));
  for (const { id, target } of records.filter((record) => record !== null).map(parseDelivery)) {
    const endpointId = endpointOf(target);
    if (endpointId === undefined) continue;
    deleting.zrem(keys.deliveries(endpointId), id).zrem(keys.endedDeliveries(endpointId), id);
  }
  await deleting.exec();
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

/** KEYS: the key. ARGV: the old value, the new value. */
const SET_IF_SAME = `
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[2])
return 1`;

/** KEYS: the hash. ARGV: the old value of the field, its new value, the field. */
const HSET_IF_SAME = `
if redis.call('hget', KEYS[1], ARGV[3]) ~= ARGV[1] then return 0 end
redis.call('hset', KEYS[1], ARGV[3], ARGV[2])
return 1`;

/** Changes the JSON at a key atomically; `undefined` if the key does not exist. */
export function updateKey<T>(
  redis: Redis,
  key: string,
  change: (latest: T) => T,
): Promise<T | undefined> {
  return changeUntilSet(change, {
    read: () => redis.get(key),
    set: (from, to) => redis.eval(SET_IF_SAME, 1, key, from, to),
  });
}

/** Changes the JSON in a hash field atomically; `undefined` if the field does not exist. */
export function updateField<T>(
  redis: Redis,
  { key, field }: { key: string; field: string },
  change: (latest: T) => T,
): Promise<T | undefined> {
  return changeUntilSet(change, {
    read: () => redis.hget(key, field),
    set: (from, to) => redis.eval(HSET_IF_SAME, 1, key, from, to, field),
  });
}

interface Slot {
  read(): Promise<string | null>;
  set(from: string, to: string): Promise<unknown>;
}

/** Retries with the newer value when another process has changed it between read and write. */
async function changeUntilSet<T>(change: (latest: T) => T, slot: Slot): Promise<T | undefined> {
  for (;;) {
    const from = await slot.read();
    if (from === null) return undefined;
    const changed = change(JSON.parse(from) as T);
    if ((await slot.set(from, JSON.stringify(changed))) === 1) return changed;
  }
}
