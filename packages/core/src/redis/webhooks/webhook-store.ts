import { LivegateError } from '../../domain/errors.js';
import type { WebhookEndpoint, WebhookSecret } from '../../domain/webhooks.js';
import type { WebhookStore } from '../../ports.js';
import { reachRedis, type Redis } from '../connection/connect.js';
import type { Keys } from '../keys.js';
import { receiverField } from '../processes/monitoring.js';
import { createDeliveries } from './deliveries.js';

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

function parseEndpoint(json: string): WebhookEndpoint {
  return JSON.parse(json) as WebhookEndpoint;
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
