import type { RateLimiter } from '@livegate/core';
import type { RequestHandler } from 'express';

/** Throws `rate_limited` for a tenant over its rate, counted over all gateways. */
export function limitRate(limiter: RateLimiter, defaultPerMinute: number): RequestHandler {
  return async (_req, res, next) => {
    const { tenant, rate_limit_per_minute } = res.locals.credential;
    await limiter.consume(tenant, rate_limit_per_minute ?? defaultPerMinute);
    next();
  };
}
