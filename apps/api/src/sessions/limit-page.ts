import { createHash } from 'node:crypto';
import { LivegateError } from '@livegate/core/domain';
import type { RateLimiter } from '@livegate/core/ports';
import ipaddr from 'ipaddr.js';
import type { Request, RequestHandler } from 'express';

/** A page reads its state once a second while a photo is checked. */
const REQUESTS_PER_SESSION = 240;
/** A person takes a photo in six seconds at best. */
const PHOTOS_PER_SESSION = 10;

export interface PageLimits {
  /** Throws `rate_limited` for a session over the rate of its requests, or of its photos. */
  limitSession(sid: string): Promise<void>;
  limitPhotos(sid: string): Promise<void>;
}

/** Per minute, over all gateways. The keys cannot equal a tenant's: no tenant name has a colon. */
export function createPageLimits(limiter: RateLimiter): PageLimits {
  return {
    limitSession: (sid) => consume(limiter, `session:${hash(sid)}`, REQUESTS_PER_SESSION),
    limitPhotos: (sid) => consume(limiter, `session-photos:${hash(sid)}`, PHOTOS_PER_SESSION),
  };
}

/**
 * Throws `rate_limited` for an address with too many requests a minute.
 *
 * A private address is not limited unless proxies are trusted: it is then most likely that of a proxy,
 * which all people share.
 */
export function limitAddress(
  limiter: RateLimiter,
  { perMinute, trustsProxies }: { perMinute: number; trustsProxies: boolean },
): RequestHandler {
  return async (req, _res, next) => {
    const network = networkOf(req, trustsProxies);
    if (network !== undefined) {
      await consume(limiter, `session-address:${hash(network)}`, perMinute);
    }
    next();
  };
}

/** An IPv4 address, or the /64 of an IPv6 address, which one subscriber has as a whole. */
function networkOf({ ip = '' }: Request, trustsProxies: boolean): string | undefined {
  if (!ipaddr.isValid(ip)) return undefined;
  const address = ipaddr.process(ip);
  if (!trustsProxies && address.range() !== 'unicast') return undefined;
  if (address.kind() === 'ipv4') return address.toString();
  return (address as ipaddr.IPv6).parts.slice(0, 4).join(':');
}

/** Keys contain no plain sid or address, because they outlive a deleted session. */
function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}

async function consume(limiter: RateLimiter, key: string, perMinute: number): Promise<void> {
  try {
    await limiter.consume(key, perMinute);
  } catch (error) {
    if (!(error instanceof LivegateError) || error.code !== 'rate_limited') throw error;
    const { retryAfterSeconds } = error;
    throw new LivegateError('rate_limited', {
      publicMessage: 'too many requests for this session or from this address, try again later',
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    });
  }
}
