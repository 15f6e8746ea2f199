import { createHmac, randomBytes } from 'node:crypto';
import type { Session } from '../domain/sessions/session.js';
import type { SessionStore } from '../ports.js';
import { reachRedis, type Redis } from './connection/connect.js';
import { deriveKey, type ImageKeys } from './images/image-keys.js';
import type { Keys } from './keys.js';

/** An image of another session counts as repeated for this long. */
const IMAGE_TTL_SECONDS = 24 * 60 * 60;
/** Renewed at each use, so that it outlives every hash that was made with it. */
const IMAGE_KEY_TTL_SECONDS = 2 * IMAGE_TTL_SECONDS;

/** Each session is one JSON value, which changes only by compare-and-set. */
export function createRedisSessionStore(
  redis: Redis,
  keys: Keys,
  imageKeys?: ImageKeys,
): SessionStore {
  const macKeyOf = createMacKeyOf(imageKeys);
  return {
    async add(session, keepMs) {
      const expiresAt = session.expiresAt + keepMs;
      const key = keys.session(session.sid);
      await reachRedis(() => redis.set(key, JSON.stringify(session), 'PXAT', expiresAt));
    },
    async read(sid) {
      return parse(await reachRedis(() => redis.get(keys.session(sid))));
    },
    async update(sid, change) {
      const key = keys.session(sid);
      for (;;) {
        const held = await reachRedis(() => redis.get(key));
        const latest = parse(held);
        if (held === null || !latest) return undefined;
        const changed = change(latest);
        if (changed === latest) return latest;
        const next = JSON.stringify(changed);
        if (await reachRedis(() => redis.eval(SET_IF_SAME, 1, key, held, next))) return changed;
      }
    },
    async delete(sid) {
      const session = parse(await reachRedis(() => redis.getdel(keys.session(sid))));
      if (!session) return undefined;
      const marks = session.imageMacs.map((mac) => keys.sessionImage(session.tenant, mac));
      for (const mark of marks) await reachRedis(() => redis.eval(UNLINK_IF_SAME, 1, mark, sid));
      return session;
    },
    async hashImage(tenant, image) {
      const args = [randomBytes(32).toString('base64url'), IMAGE_KEY_TTL_SECONDS, 'renew'];
      const at = keys.sessionImageKey(tenant);
      const key = await reachRedis(() => redis.eval(GET_OR_SET, 1, at, ...args));
      return createHmac('sha256', macKeyOf(String(key)))
        .update(image)
        .digest('base64url');
    },
    async isRepeated({ tenant, mac, sid }) {
      const mark = keys.sessionImage(tenant, mac);
      const args = [sid, IMAGE_TTL_SECONDS, 'keep'];
      const first = await reachRedis(() => redis.eval(GET_OR_SET, 1, mark, ...args));
      return first !== sid;
    },
  };
}

/** With an image key, the key in Redis is not enough to recognize an image. */
function createMacKeyOf(imageKeys: ImageKeys | undefined) {
  return (key: string): string | Buffer =>
    imageKeys
      ? createHmac('sha256', deriveKey(imageKeys.current(), 'sessions')).update(key).digest()
      : key;
}

function parse(json: string | null): Session | undefined {
  return json === null ? undefined : (JSON.parse(json) as Session);
}

/** KEYS: the session. ARGV: the old value, the new value. */
const SET_IF_SAME = `
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[2], 'KEEPTTL')
return 1`;

/** KEYS: the mark of an image. ARGV: the session whose mark is removed. */
const UNLINK_IF_SAME = `
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('unlink', KEYS[1])`;

/** KEYS: the key. ARGV: its value if it has none, its TTL, whether to "renew" that of an old value. */
const GET_OR_SET = `
local held = redis.call('get', KEYS[1])
if held then
  if ARGV[3] == 'renew' then redis.call('expire', KEYS[1], ARGV[2]) end
  return held
end
redis.call('set', KEYS[1], ARGV[1], 'EX', ARGV[2])
return ARGV[1]`;
