import type { IdempotencyKeys, KeyAddress, KeyClaim } from '../ports.js';
import { defineScript, reachRedis, type Redis } from './connection/connect.js';
import type { Keys } from './keys.js';

export interface RedisIdempotencyKeysOptions {
  redis: Redis;
  keys: Keys;
  resultTtlSeconds: number;
}

export function createRedisIdempotencyKeys(options: RedisIdempotencyKeysOptions): IdempotencyKeys {
  const { redis, keys, resultTtlSeconds } = options;
  const keyOf = ({ tenant, keySha256 }: KeyAddress) => keys.idempotency(tenant, keySha256);

  return {
    claim: (at, claim) => put(at, '', claim),
    replace: (at, held, next) => put(at, JSON.stringify(held), next),
    async join(at, held) {
      const args = [JSON.stringify(held), JSON.stringify({ ...held, isJoined: true })];
      return (await reachRedis(() => setIfSame(redis, [keyOf(at)], args))) === 1;
    },
    async release(at, id) {
      await reachRedis(() => unlinkIfOfCheck(redis, [keyOf(at)], [id]));
    },
  };

  /** A script, because two gateways may claim a key in the same millisecond. */
  async function put(at: KeyAddress, expected: string, claim: KeyClaim): Promise<KeyClaim> {
    const args = [expected, JSON.stringify(claim), resultTtlSeconds];
    const inForce = await reachRedis(() => setIfFreeOrSame(redis, [keyOf(at)], args));
    return JSON.parse(String(inForce)) as KeyClaim;
  }
}

const setIfFreeOrSame = defineScript(`
  local held = redis.call('GET', KEYS[1])
  if held and held ~= ARGV[1] then
    return held
  end
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
  return ARGV[2]`);

const setIfSame = defineScript(`
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
  end
  redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
  return 1`);

const unlinkIfOfCheck = defineScript(`
  local held = redis.call('GET', KEYS[1])
  if held and cjson.decode(held).id == ARGV[1] then
    redis.call('UNLINK', KEYS[1])
  end`);
