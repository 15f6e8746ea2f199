import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Redis } from '../connection/connect.js';
import { createRedisImageStore } from './image-store.js';
import { createKeys } from '../keys.js';

/** A Redis whose writes end when the test ends them, and that answers pings while it is `alive`. */
function createSlowRedis({ alive = true } = {}) {
  const writes: (() => void)[] = [];
  const sent: string[] = [];
  const set = () => new Promise<void>((resolve) => writes.push(resolve));
  const unlink = async (key: string) => void sent.push(key);
  const writeRedis = { set, unlink } as unknown as Redis;
  const exists = () => (alive ? Promise.resolve(0) : new Promise(() => undefined));
  return { writes, sent, writeRedis, redis: { exists } as unknown as Redis };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));
const keys = createKeys('{test}');
const options = { keys, ttlSeconds: 60 };
const unavailable = { code: 'unavailable' };

describe('the Redis image store', () => {
  it('writes four images at a time, and the others in order', async () => {
    const { writes, ...slow } = createSlowRedis();
    const store = createRedisImageStore({ ...options, ...slow, timeoutMs: 1000 });
    const puts = Array.from({ length: 6 }, (_, i) => store.put(`${i}`, Uint8Array.of(i)));
    await settle();
    expect(writes).toHaveLength(4);
    writes.forEach((end) => end());
    await settle();
    expect(writes).toHaveLength(6);
    writes.forEach((end) => end());
    await Promise.all(puts);
  });

  it('rejects a write that a slow network does not end within its time limit', async () => {
    const slow = createSlowRedis();
    const store = createRedisImageStore({ ...options, ...slow, timeoutMs: 1 });
    await expect(store.put('a', Uint8Array.of(1))).rejects.toMatchObject(unavailable);
  });

  describe('with an image of ten megabytes', () => {
    const tenMegabytes = new Uint8Array(10_000_000);
    beforeEach(() => void vi.useFakeTimers());
    afterEach(() => void vi.useRealTimers());

    it('keeps writing for seconds while Redis answers pings', async () => {
      const { writes, ...slow } = createSlowRedis();
      const store = createRedisImageStore({ ...options, ...slow, timeoutMs: 500 });
      const put = store.put('a', tenMegabytes);
      await vi.advanceTimersByTimeAsync(2000);
      writes[0]?.();
      expect(await put).toBeUndefined();
      expect(slow.sent).toEqual([]);
    });

    it('rejects all waiting writes after 500 ms of silence, and deletes the late image', async () => {
      const slow = createSlowRedis({ alive: false });
      const store = createRedisImageStore({ ...options, ...slow, timeoutMs: 500 });
      const puts = Promise.allSettled(
        ['a', 'b', 'c', 'd', 'e'].map((id) => store.put(id, tenMegabytes)),
      );
      await vi.advanceTimersByTimeAsync(510);
      for (const { reason } of (await puts) as PromiseRejectedResult[]) {
        expect(reason).toMatchObject(unavailable);
      }
      expect(slow.sent).toEqual(['a', 'b', 'c', 'd'].map(keys.image));
    });
  });
});
