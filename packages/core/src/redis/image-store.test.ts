import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Redis } from './connection/connect.js';
import { createRedisImageStore } from './image-store.js';
import { createKeys } from './keys.js';

/** A Redis whose writes end only when the test says so, and which answers while it is `alive`. */
function createHeldRedis({ alive = true } = {}) {
  const writes: (() => void)[] = [];
  const sent: string[] = [];
  const set = () => new Promise<void>((resolve) => writes.push(resolve));
  const unlink = async (key: string) => void sent.push(key);
  const bulkRedis = { set, unlink } as unknown as Redis;
  const exists = () => (alive ? Promise.resolve(0) : new Promise(() => undefined));
  return { writes, sent, bulkRedis, redis: { exists } as unknown as Redis };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));
const keys = createKeys('{test}');
const options = { keys, lifeSeconds: 60 };
const unavailable = { code: 'unavailable' };

describe('the image store', () => {
  it('writes a few images at a time, and the others in their turn', async () => {
    const { writes, ...held } = createHeldRedis();
    const store = createRedisImageStore({ ...options, ...held, timeoutMs: 1000 });
    const puts = Array.from({ length: 6 }, (_, i) => store.put(`${i}`, Uint8Array.of(i)));
    await settle();
    expect(writes).toHaveLength(4);
    writes.forEach((end) => end());
    await settle();
    expect(writes).toHaveLength(6);
    writes.forEach((end) => end());
    await Promise.all(puts);
  });

  it('gives up a write that a slow network does not end within the limit of its size', async () => {
    const held = createHeldRedis();
    const store = createRedisImageStore({ ...options, ...held, timeoutMs: 1 });
    await expect(store.put('a', Uint8Array.of(1))).rejects.toMatchObject(unavailable);
  });

  describe('given ten megabytes', () => {
    const tenMegabytes = new Uint8Array(10_000_000);
    beforeEach(() => void vi.useFakeTimers());
    afterEach(() => void vi.useRealTimers());

    it('goes on writing for seconds where Redis answers', async () => {
      const { writes, ...held } = createHeldRedis();
      const store = createRedisImageStore({ ...options, ...held, timeoutMs: 500 });
      const put = store.put('a', tenMegabytes);
      await vi.advanceTimersByTimeAsync(2000);
      writes[0]?.();
      expect(await put).toBeUndefined();
      expect(held.sent).toEqual([]);
    });

    it('gives up after 500 ms where Redis is silent, all that wait, and takes back the image', async () => {
      const held = createHeldRedis({ alive: false });
      const store = createRedisImageStore({ ...options, ...held, timeoutMs: 500 });
      const puts = Promise.allSettled(
        ['a', 'b', 'c', 'd', 'e'].map((id) => store.put(id, tenMegabytes)),
      );
      await vi.advanceTimersByTimeAsync(501);
      for (const { reason } of (await puts) as PromiseRejectedResult[]) {
        expect(reason).toMatchObject(unavailable);
      }
      expect(held.sent).toEqual(['a', 'b', 'c', 'd'].map(keys.image));
    });
  });
});
