import type { IdempotencyKeys, KeyAddress, KeyClaim } from '../ports.js';
import { reachRedis, type Redis } from './connection/connect.js';
import type { Keys } from './keys.js';

export interface RedisIdempotencyKeysOptions {
  redis: Redis;
  keys: Keys;
  resultLifeSeconds: number;
}

export function createRedisIdempotencyKeys(options: RedisIdempotencyKeysOptions): IdempotencyKeys {
  const { redis, keys, resultLifeSeconds } = options;
  const keyOf = ({ tenant, keySha256 }: KeyAddress) => keys.idempotency(tenant, keySha256);

  return {
    claim: (at, claim) => put(at, '', claim),
    replace: (at, held, next) => put(at, JSON.stringify(held), next),
    async release(at, id) {
      await reachRedis(() => redis.eval(UNLINK_IF_OF_CHECK, 1, keyOf(at), id));
    },
  };

  /** Two gateways may try in the same millisecond; inside Redis one of them is first. */
  async function put(at: KeyAddress, expected: string, claim: KeyClaim): Promise<KeyClaim> {
    const args = [expected, JSON.stringify(claim), resultLifeSeconds];
    const inForce = await reachRedis(() => redis.eval(PUT_IF_AS_EXPECTED, 1, keyOf(at), ...args));
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

const UNLINK_IF_OF_CHECK = `
  local held = redis.call('GET', KEYS[1])
  if held and cjson.decode(held).id == ARGV[1] then
    redis.call('UNLINK', KEYS[1])
  end`;
