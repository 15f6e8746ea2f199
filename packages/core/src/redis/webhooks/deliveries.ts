import {
  type Delivery,
  deliveryTtlSeconds,
  type DeliveryTarget,
} from '../../domain/webhook-delivery.js';
import type { WebhookStore } from '../../ports.js';
import { reachRedis, type Redis } from '../connection/connect.js';
import type { Keys } from '../keys.js';

/** Most deliveries of one endpoint that are listed, and most ended ones that are kept. */
const MAX_LISTED = 100;
/** TTL of the lists; no listed delivery has a longer one. */
const LIST_TTL_SECONDS = 7 * 24 * 60 * 60;

/**
 * KEYS: the delivery, its list; if its target is an endpoint, the tenant's endpoints. ARGV: the
 * record, its TTL, its id, its creation time, the TTL of the list, the endpoint's id.
 */
const ADD_DELIVERY = `
if KEYS[3] and redis.call('hexists', KEYS[3], ARGV[6]) == 0 then return 0 end
if not redis.call('set', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then return 0 end
redis.call('zadd', KEYS[2], ARGV[4], ARGV[3])
redis.call('expire', KEYS[2], ARGV[5])
return 1`;

/**
 * KEYS: the delivery, its list; if its target is an endpoint, the list of ended deliveries. ARGV: the
 * old record, the new record, its TTL, its id, its creation time, the TTL of the lists, whether it has
 * ended (0 or 1), how many ended ones are kept, the prefix of a delivery's key.
 */
const UPDATE_DELIVERY = `
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[2], 'EX', ARGV[3])
redis.call('expire', KEYS[2], ARGV[6])
if not KEYS[3] then
  if ARGV[7] == '1' then redis.call('zrem', KEYS[2], ARGV[4]) end
  return 1
end
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

export function createDeliveries(redis: Redis, keys: Keys) {
  return {
    addDelivery: (delivery: Delivery) => reachRedis(() => addDelivery(redis, keys, delivery)),
    async readDelivery(id) {
      const delivery = await reachRedis(() => redis.get(keys.delivery(id)));
      return delivery === null ? undefined : parseDelivery(delivery);
    },
    updateDelivery: (id, change) => reachRedis(() => updateDelivery({ redis, keys }, id, change)),
    countPending: (of) => reachRedis(() => countPending(redis, keys, of)),
    listDeliveries: (endpointId) => reachRedis(() => listDeliveries(redis, keys, endpointId)),
    deleteDeliveries: (ids) => reachRedis(() => deleteDeliveries(redis, keys, ids)),
  } satisfies Partial<WebhookStore>;
}

async function addDelivery(redis: Redis, keys: Keys, delivery: Delivery): Promise<boolean> {
  const { id, tenant, target, createdAt } = delivery;
  const endpointId = endpointOf(target);
  const endpoints = endpointId === undefined ? [] : [keys.webhookEndpoints(tenant)];
  const used = [keys.delivery(id), listOf(keys, delivery), ...endpoints];
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
    const ended = endpointId === undefined ? [] : [keys.endedDeliveries(endpointId)];
    const used = [keys.delivery(id), listOf(keys, changed), ...ended];
    const record = [JSON.stringify(changed), deliveryTtlSeconds(changed), id, changed.createdAt];
    const hasEnded = changed.status === 'pending' ? 0 : 1;
    const args = [from, ...record, LIST_TTL_SECONDS, hasEnded, MAX_LISTED, keys.delivery('')];
    if ((await redis.eval(UPDATE_DELIVERY, used.length, ...used, ...args)) === 1) return changed;
  }
}

type ListedDelivery = Pick<Delivery, 'tenant' | 'target'>;

/** All deliveries of its endpoint, or the pending ones of its tenant to URLs of checks. */
function listOf(keys: Keys, { tenant, target }: ListedDelivery): string {
  const endpointId = endpointOf(target);
  return endpointId === undefined ? keys.urlDeliveries(tenant) : keys.deliveries(endpointId);
}

async function countPending(redis: Redis, keys: Keys, of: ListedDelivery): Promise<number> {
  const endpointId = endpointOf(of.target);
  const [listed, ended] = await Promise.all([
    redis.zcard(listOf(keys, of)),
    endpointId === undefined ? 0 : redis.zcard(keys.endedDeliveries(endpointId)),
  ]);
  return listed - ended;
}

function endpointOf(target: DeliveryTarget): string | undefined {
  return 'endpointId' in target ? target.endpointId : undefined;
}

async function deleteDeliveries(redis: Redis, keys: Keys, ids: string[]): Promise<void> {
  if (ids.length === 0) return;
  const records = await redis.mget(ids.map(keys.delivery));
  const deleting = redis.multi().unlink(ids.map(keys.delivery));
  for (const delivery of records.filter((record) => record !== null).map(parseDelivery)) {
    const { id, target } = delivery;
    const endpointId = endpointOf(target);
    deleting.zrem(listOf(keys, delivery), id);
    if (endpointId !== undefined) deleting.zrem(keys.endedDeliveries(endpointId), id);
  }
  await deleting.exec();
}

async function listDeliveries(redis: Redis, keys: Keys, endpointId: string): Promise<Delivery[]> {
  const ids = await redis.zrevrange(keys.deliveries(endpointId), 0, MAX_LISTED - 1);
  if (ids.length === 0) return [];
  const records = await redis.mget(ids.map(keys.delivery));
  return records.filter((record) => record !== null).map(parseDelivery);
}

function parseDelivery(json: string): Delivery {
  return JSON.parse(json) as Delivery;
}
