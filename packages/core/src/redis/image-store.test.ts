import type { Redis } from './connect.js';
import { describe, expect, it } from 'vitest';
import { createKeys } from './keys.js';
import { createRedisImageStore } from './image-store.js';

/** A Redis whose writes end only when the test says so. */
function createHeldRedis() {
  const writes: (() => void)[] = [];
  const set = () => new Promise<void>((resolve) => writes.push(resolve));
  return { writes, redis: { set } as unknown as Redis };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));
const options = { keys: createKeys('{test}'), lifeSeconds: 60 };

describe('the image store', () => {
  it('writes a few images at a time, and the others in their turn', async () => {
    const { writes, redis } = createHeldRedis();
    const store = createRedisImageStore({ ...options, redis, timeoutMs: 1000 });
    const puts = Array.from({ length: 6 }, (_, i) => store.put(`${i}`, Uint8Array.of(i)));
    await settle();
    expect(writes).toHaveLength(4);
    writes.forEach((end) => end());
    await settle();
    expect(writes).toHaveLength(6);
    writes.forEach((end) => end());
    await Promise.all(puts);
  });

  it('gives up a write that is not answered, and goes on', async () => {
    const { redis } = createHeldRedis();
    const store = createRedisImageStore({ ...options, redis, timeoutMs: 1 });
    await expect(store.put('a', Uint8Array.of(1))).rejects.toMatchObject({ code: 'unavailable' });
  });
});
