import { type ImageHasher, plainImageHasher } from '@livegate/core/domain';
import {
  createFakeCheckQueue,
  createFakeIdempotencyKeys,
  exampleJob,
  exampleResult,
} from '@livegate/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Claimant, claimOf, createClaimKey } from './claim-key.js';

// Vitest's fake timers do not replace this module.
vi.mock('node:timers/promises', () => ({
  setTimeout: (ms: number) => new Promise((resolve) => setTimeout(resolve, ms)),
}));

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

const at = { tenant: 'acme', keySha256: 'of the key' };
const reused = { code: 'idempotency_key_reused' };
const claimantOf = (id: string, byte = 1): Claimant => ({ ...at, id, image: Uint8Array.of(byte) });

function setUp(imageHasher?: ImageHasher) {
  const queue = createFakeCheckQueue();
  const idempotencyKeys = createFakeIdempotencyKeys();
  const claimKey = createClaimKey({ queue, idempotencyKeys, ...(imageHasher && { imageHasher }) });
  const claim = (id: string, byte?: number) => claimKey(claimantOf(id, byte), 'new');
  const confirm = (id: string, byte?: number) => claimKey(claimantOf(id, byte), 'stored');
  /** The claim in force; claims a free key. */
  const read = () => idempotencyKeys.claim(at, { id: 'reader', imageSha256: '' });
  /** Claims the key as the first request does that queues its check. */
  const queueFirst = async (id: string) => {
    await claim(id);
    await confirm(id);
    await queue.add(id, exampleJob);
  };
  return { queue, idempotencyKeys, claim, confirm, read, queueFirst };
}

describe('an idempotency key', () => {
  it('belongs to the check of its first request while that waits, runs or has a verdict', async () => {
    const { queue, claim, queueFirst } = setUp();
    expect(await claim('a')).toBe('a');
    await queueFirst('a');
    expect(await claim('b')).toBe('a');
    queue.begin('a');
    expect(await claim('c')).toBe('a');
    queue.finish('a', { result: exampleResult });
    expect(await claim('d')).toBe('a');
  });

  it('is refused for another image, also after the verdict', async () => {
    const { queue, claim, queueFirst } = setUp();
    await queueFirst('a');
    await expect(claim('b', 2)).rejects.toMatchObject(reused);
    queue.finish('a', { result: exampleResult });
    await expect(claim('c', 2)).rejects.toMatchObject(reused);
  });

  it('is free for any image once its check has ended without a verdict', async () => {
    const { queue, claim, read, queueFirst } = setUp();
    await queueFirst('a');
    queue.finish('a', { error: 'image_expired' });
    expect(await claim('b', 2)).toBe('b');
    expect(await read()).toEqual(claimOf(claimantOf('b', 2), 'new', plainImageHasher));
  });

  it('is kept apart by tenant', async () => {
    const { queueFirst, queue, idempotencyKeys } = setUp();
    await queueFirst('a');
    const claimKey = createClaimKey({ queue, idempotencyKeys });
    expect(await claimKey({ ...claimantOf('b', 2), tenant: 'globex' }, 'new')).toBe('b');
  });

  it('marks its check as joined, once', async () => {
    const { idempotencyKeys, claim, read, queueFirst } = setUp();
    await queueFirst('a');
    expect(await read()).not.toHaveProperty('isJoined');
    const join = vi.spyOn(idempotencyKeys, 'join');
    await claim('b');
    await claim('c');
    expect(await read()).toMatchObject({ id: 'a', isStored: true, isJoined: true });
    expect(join).toHaveBeenCalledTimes(1);
  });

  it('recognizes an image whose hash was made with an earlier key', async () => {
    const rotated: ImageHasher = {
      hash: (image) => `new ${image[0]}`,
      matches: (image, hash) => hash === `old ${image[0]}`,
    };
    const { queue, idempotencyKeys, claim } = setUp(rotated);
    await idempotencyKeys.claim(at, { id: 'a', imageSha256: 'old 1', isStored: true });
    await queue.add('a', exampleJob);
    expect(await claim('b', 1)).toBe('a');
    await expect(claim('c', 2)).rejects.toMatchObject(reused);
  });
});

describe('a key whose check is not queued yet', () => {
  it('is joined once another gateway has queued the check', async () => {
    const { queue, claim, queueFirst } = setUp();
    await claim('a');
    const joined = claim('b');
    await vi.advanceTimersByTimeAsync(2000);
    await queue.add('a', exampleJob);
    await vi.advanceTimersByTimeAsync(50);
    expect(await joined).toBe('a');
    await queueFirst('a');
  });

  it('is refused for another image at once', async () => {
    const { claim } = setUp();
    await claim('a');
    await expect(claim('b', 2)).rejects.toMatchObject(reused);
  });

  it.each([
    ['is taken over', 3100, ['b']],
    ['is waited for', 3000, []],
  ])('%s after %i ms without a change', async (_name, ms, ended) => {
    const { claim } = setUp();
    await claim('a');
    const ids: string[] = [];
    void claim('b').then((id) => ids.push(id));
    await vi.advanceTimersByTimeAsync(ms);
    expect(ids).toEqual(ended);
  });

  it('is waited for as long again when its claim has changed meanwhile', async () => {
    const { claim, confirm } = setUp();
    await claim('a');
    const ids: string[] = [];
    void claim('b').then((id) => ids.push(id));
    await vi.advanceTimersByTimeAsync(2500);
    await confirm('a');
    await vi.advanceTimersByTimeAsync(2500);
    expect(ids).toEqual([]);
    await vi.advanceTimersByTimeAsync(700);
    expect(ids).toEqual(['b']);
  });

  it('asks the queue for the check at most twenty times a second', async () => {
    const { queue, claim } = setUp();
    await claim('a');
    const reads = vi.spyOn(queue, 'read');
    void claim('b');
    await vi.advanceTimersByTimeAsync(1000);
    expect(reads.mock.calls.length).toBeLessThanOrEqual(21);
  });
});

describe('a gateway that confirms its claim after it has stored the image', () => {
  it('keeps the key, which no other can take over as a new claim', async () => {
    const { idempotencyKeys, claim, confirm, read } = setUp();
    await claim('a');
    const fresh = await read();
    expect(await confirm('a')).toBe('a');
    expect(await read()).toEqual({ ...fresh, isStored: true });
    await idempotencyKeys.replace(at, fresh, { id: 'b', imageSha256: '' });
    expect(await read()).toMatchObject({ id: 'a' });
  });

  it('joins the check of another one that has taken over the key meanwhile', async () => {
    const { queue, idempotencyKeys, claim, confirm, read } = setUp();
    await claim('a');
    await idempotencyKeys.replace(
      at,
      await read(),
      claimOf(claimantOf('b'), 'stored', plainImageHasher),
    );
    await queue.add('b', exampleJob);
    expect(await confirm('a')).toBe('b');
  });
});

it('a request does not join a claim that changes while it joins', async () => {
  const { queue, idempotencyKeys, claim, read, queueFirst } = setUp();
  await queueFirst('a');
  const { join } = idempotencyKeys;
  const asked: string[] = [];
  idempotencyKeys.join = async (address, held) => {
    asked.push(held.id);
    if (asked.length === 1)
      await idempotencyKeys.replace(at, await read(), { ...held, isWithdrawn: true });
    return join(address, held);
  };
  expect(await claim('b')).toBe('b');
  expect(asked).toEqual(['a']);
  expect(await queue.read('b')).toBeUndefined();
});
