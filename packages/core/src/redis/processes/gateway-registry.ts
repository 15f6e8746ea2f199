import type { GatewayRegistry } from '../../ports.js';
import { reachRedis, type Redis } from '../connection/connect.js';
import type { Keys } from '../keys.js';

/**
 * One key for each gateway, whose value is its TTL in milliseconds: what is left of it says how long ago
 * it was renewed, by the clock of Redis alone.
 */
export function createRedisGatewayRegistry(redis: Redis, keys: Keys): GatewayRegistry {
  return {
    async renew(address, goneMs) {
      await reachRedis(() => redis.set(keys.gateway(address), goneMs, 'PX', goneMs));
    },
  };
}
