import type { Redis } from '../connection/connect.js';
import type { Keys } from '../keys.js';

/** At most one write a minute for each credential and gateway. */
const WRITE_MS = 60_000;
/** A credential that was not used for this long shows no last use. */
const TTL_SECONDS = 365 * 24 * 60 * 60;

export interface CredentialUse {
  /** Does not wait for Redis: a lost write shows an earlier last use. */
  record(username: string): void;
  /** ISO times, in the order of the names; `undefined` for one that was not used. */
  read(usernames: string[]): Promise<(string | undefined)[]>;
}

/** When each credential was last accepted. `now` is in milliseconds since the epoch. */
export function createRedisCredentialUse(
  redis: Redis,
  keys: Keys,
  now: () => number = Date.now,
): CredentialUse {
  const writtenAt = new Map<string, number>();

  return {
    record(username) {
      const at = now();
      if (at - (writtenAt.get(username) ?? -Infinity) < WRITE_MS) return;
      writtenAt.set(username, at);
      const time = new Date(at).toISOString();
      redis.set(keys.credentialUse(username), time, 'EX', TTL_SECONDS).catch(() => undefined);
    },
    async read(usernames) {
      if (usernames.length === 0) return [];
      const times = await redis.mget(usernames.map(keys.credentialUse));
      return times.map((time) => time ?? undefined);
    },
  };
}
