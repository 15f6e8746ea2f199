import type { GatewayRegistry } from '../../ports.js';
import { reachRedis, type Redis } from '../connection/connect.js';
import type { Keys } from '../keys.js';

/**
 * One key for each gateway, whose value is its TTL in milliseconds. That minus the remaining TTL is the
 * time since the last renewal, by the clock of Redis.
 */
export function createRedisGatewayRegistry(redis: Redis, keys: Keys): GatewayRegistry {
  return {
    async renew(address, goneMs) {
      await reachRedis(() => redis.set(keys.gateway(address), goneMs, 'PX', goneMs));
    },
  };
}
