import { createHash } from 'node:crypto';
import type { Redis } from './connect.js';
import type { IdempotencyKeys, KeyClaim } from '../ports.js';
import type { Keys } from './keys.js';
import { reachRedis } from './translate-errors.js';

export interface RedisIdempotencyKeysOptions {
  redis: Redis;
  keys: Keys;
  resultLifeSeconds: number;
}

export function createRedisIdempotencyKeys(options: RedisIdempotencyKeysOptions): IdempotencyKeys {
  const { redis, keys, resultLifeSeconds } = options;

  return {
    claim: (tenant, key, claim) => put({ tenant, key }, '', claim),
    replace: (held, next, at) => put(at, JSON.stringify(held), next),
  };

  /** Two gateways may try in the same millisecond; inside Redis one of them is first. */
  async function put(
    { tenant, key }: { tenant: string; key: string },
    expected: string,
    claim: KeyClaim,
  ): Promise<KeyClaim> {
    // A caller's key may be long or hold anything; its hash is neither.
    const keySha256 = createHash('sha256').update(key).digest('hex');
    const inForce = await reachRedis(() =>
      redis.eval(
        PUT_IF_AS_EXPECTED,
        1,
        keys.idempotency(tenant, keySha256),
        expected,
        JSON.stringify(claim),
        resultLifeSeconds,
      ),
    );
    return JSON.parse(String(inForce)) as KeyClaim;
  }
}

const PUT_IF_AS_EXPECTED = `
  local held = redis.call('GET', KEYS[1])
  if held and held ~= ARGV[1] then
    return held
  end
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
  return ARGV[2]`;
