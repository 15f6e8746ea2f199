import type { Demands } from '../../ports.js';
import { defineScript, reachRedis, type Redis } from '../connection/connect.js';
import type { Keys } from '../keys.js';
import { readMark } from './cancellations.js';

/** A gateway renews its registration every 0.4 s. Longer than a failed poll or two. */
const AWAY_MS = 3000;

export interface DemandsOptions {
  /** How long after its last renewal a gateway is away. */
  awayMs?: number;
}

/**
 * One script, whatever is asked: a command of its own costs a worker more than all keys that one
 * script reads, and a cache of the endpoints would have to be kept right.
 */
export function createRedisDemands(
  redis: Redis,
  keys: Keys,
  { awayMs = AWAY_MS }: DemandsOptions = {},
): Demands {
  return {
    async find(checks) {
      if (checks.length === 0) return [];
      const used = checks.flatMap(({ id, tenant, waiter = '' }) => [
        keys.cancellation(id),
        keys.webhookEndpoints(tenant),
        keys.gateway(waiter),
      ]);
      const asked = checks.map(({ waiter }) => (waiter === undefined ? 0 : 1));
      const found = await reachRedis(() => findDemands(redis, used, [awayMs, ...asked]));
      return (found as [string, number, number][]).map(([mark, endpoints, caller]) => ({
        cancellation: readMark(mark).cancellation,
        hasEndpoints: endpoints === 1,
        caller: CALLERS[caller],
      }));
    },
  };
}

const CALLERS = [undefined, 'away', 'gone'] as const;

/**
 * KEYS: for each check, its cancellation, the endpoints of its tenant, its gateway. ARGV: when a gateway
 * is away; for each check, whether its gateway is asked for.
 */
const findDemands = defineScript(`
  local found = {}
  for i = 1, #KEYS, 3 do
    local mark = redis.call('GET', KEYS[i])
    local endpoints = redis.call('EXISTS', KEYS[i + 1])
    local caller = 0
    if endpoints == 0 and ARGV[(i + 5) / 3] == '1' then
      local left = redis.call('PTTL', KEYS[i + 2])
      if left < 0 then
        caller = 2
      elseif redis.call('GET', KEYS[i + 2]) - left > tonumber(ARGV[1]) then
        caller = 1
      end
    end
    table.insert(found, { mark or '', endpoints, caller })
  end
  return found`);
