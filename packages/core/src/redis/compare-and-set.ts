import type { Redis } from './connect.js';

/** KEYS: the key. ARGV: what it should hold, what it shall hold. */
const SET_IF_SAME = `
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[2])
return 1`;

/** KEYS: the hash. ARGV: what its field should hold, what it shall hold, the field. */
const HSET_IF_SAME = `
if redis.call('hget', KEYS[1], ARGV[3]) ~= ARGV[1] then return 0 end
redis.call('hset', KEYS[1], ARGV[3], ARGV[2])
return 1`;

/** Changes the JSON at a key atomically; `undefined` if there is none. */
export function updateKey<T>(
  redis: Redis,
  key: string,
  change: (latest: T) => T,
): Promise<T | undefined> {
  return changeUntilSet(change, {
    read: () => redis.get(key),
    set: (from, to) => redis.eval(SET_IF_SAME, 1, key, from, to),
  });
}

/** Changes the JSON in a field of a hash atomically; `undefined` if there is none. */
export function updateField<T>(
  redis: Redis,
  { key, field }: { key: string; field: string },
  change: (latest: T) => T,
): Promise<T | undefined> {
  return changeUntilSet(change, {
    read: () => redis.hget(key, field),
    set: (from, to) => redis.eval(HSET_IF_SAME, 1, key, from, to, field),
  });
}

interface Slot {
  read(): Promise<string | null>;
  set(from: string, to: string): Promise<unknown>;
}

/** Starts over with the newer value when another process has changed it in between. */
async function changeUntilSet<T>(change: (latest: T) => T, slot: Slot): Promise<T | undefined> {
  for (;;) {
    const from = await slot.read();
    if (from === null) return undefined;
    const changed = change(JSON.parse(from) as T);
    if ((await slot.set(from, JSON.stringify(changed))) === 1) return changed;
  }
}
