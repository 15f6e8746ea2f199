import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { LivegateError } from '../../domain/errors.js';
import type { RateLimiter } from '../../ports.js';
import { reachRedis, type Redis } from '../connection/connect.js';
import type { Keys } from '../keys.js';

/** Fixed windows of one minute, shared by all gateways. */
export function createRedisRateLimiter(redis: Redis, keys: Keys): RateLimiter {
  const limiters = new Map<number, RateLimiterRedis>();

  function limiterFor(perMinute: number): RateLimiterRedis {
    const known = limiters.get(perMinute);
    if (known) return known;
    const limiter = new RateLimiterRedis({
      storeClient: redis,
      keyPrefix: keys.rateLimit,
      points: perMinute,
      duration: 60,
      rejectIfRedisNotReady: true,
      // A refused tenant costs Redis nothing until its window ends.
      inMemoryBlockOnConsumed: perMinute,
    });
    limiters.set(perMinute, limiter);
    return limiter;
  }

  return {
    async consume(tenant, perMinute) {
      if (perMinute === 0) return;
      const refusal = await reachRedis(() => refusalOf(limiterFor(perMinute), tenant));
      if (!refusal) return;
      const retryAfterSeconds = Math.ceil(refusal.msBeforeNext / 1000);
      throw new LivegateError('rate_limited', { retryAfterSeconds });
    },
  };
}

/** The library rejects with a `RateLimiterRes` at the limit, and with an Error on a failure. */
async function refusalOf(
  limiter: RateLimiterRedis,
  tenant: string,
): Promise<RateLimiterRes | undefined> {
  try {
    await limiter.consume(tenant);
    return undefined;
  } catch (rejection) {
    if (rejection instanceof RateLimiterRes) return rejection;
    throw rejection;
  }
}
