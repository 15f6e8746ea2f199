import type { GatewayRegistry } from '../../ports.js';
import { defineScript, reachRedis, type Redis } from '../connection/connect.js';
import type { Keys } from '../keys.js';

/** A gateway renews its registration every 0.4 s. Longer than a failed poll or two. */
const AWAY_MS = 3000;

export interface GatewayRegistryOptions {
  /** How long after its last renewal a gateway is away. */
  awayMs?: number;
}

/**
 * One key for each gateway, whose value is its TTL in milliseconds: what is left of it says how long ago
 * it was renewed, by the clock of Redis alone.
 */
export function createRedisGatewayRegistry(
  redis: Redis,
  keys: Keys,
  { awayMs = AWAY_MS }: GatewayRegistryOptions = {},
): GatewayRegistry {
  return {
    async renew(address, goneMs) {
      await reachRedis(() => redis.set(keys.gateway(address), goneMs, 'PX', goneMs));
    },
    async findAbandoned(checks) {
      if (checks.length === 0) return [];
      const used = checks.flatMap(({ waiter, tenant }) => [
        keys.gateway(waiter),
        keys.webhookEndpoints(tenant),
      ]);
      const states = await reachRedis(() => findAbandoned(redis, used, [awayMs]));
      return (states as number[]).map((state) => ABANDONED[state]);
    },
  };
}

const ABANDONED = [undefined, 'away', 'gone'] as const;

const findAbandoned = defineScript(`
  local states = {}
  for i = 1, #KEYS, 2 do
    local left, state = redis.call('PTTL', KEYS[i]), 0
    if left < 0 then
      state = 2
    elseif redis.call('GET', KEYS[i]) - left > tonumber(ARGV[1]) then
      state = 1
    end
    if state > 0 and redis.call('EXISTS', KEYS[i + 1]) == 1 then state = 0 end
    table.insert(states, state)
  end
  return states`);
