import type { ImageStore } from '@livegate/core';
import {
  createFakeCheckQueue,
  createFakeIdempotencyKeys,
  createFakeImageStore,
  createFakeReplies,
  exampleResult,
} from '@livegate/core/testing';
import { describe, expect, it } from 'vitest';
import { createAwaitCheck } from './await-check.js';
import { createClaimKey } from './claim-key.js';
import { createSubmitCheck } from './submit-check.js';

/** Two gateways over one store. What is given replaces its part for the second. */
function setUp({ ofSecond = {} }: { ofSecond?: Partial<ImageStore> } = {}) {
  const queue = createFakeCheckQueue();
  const imageStore = createFakeImageStore();
  const idempotencyKeys = createFakeIdempotencyKeys();
  const fakeReplies = createFakeReplies();
  const createGateway = (name: string, store: ImageStore) => {
    const replies = fakeReplies.createInbox(name);
    return createSubmitCheck({
      imageStore: store,
      queue,
      replies,
      claimKey: createClaimKey({ queue, idempotencyKeys }),
      awaitCheck: createAwaitCheck({ queue, replies }),
    });
  };
  /** Ends a check as a worker would. */
  const finish = async (id: string) => {
    queue.finish(id, { result: exampleResult });
    await fakeReplies.outbox.send(id, { result: exampleResult }, queue.jobs.get(id)?.replyTo);
    await imageStore.delete(id);
  };
  const first = createGateway('first', imageStore);
  const second = createGateway('second', { ...imageStore, ...ofSecond });
  return { first, second, queue, imageStore, idempotencyKeys, finish };
}

const image = Uint8Array.of(1, 2, 3);
const submission = { tenant: 'acme', image, isAwaited: true, idempotencyKey: 'order-1' };

describe('two gateways that are sent one image under one key at the same moment', () => {
  it('leave no image behind when the check ends while the second one stores its own', async () => {
    const during: (() => Promise<unknown>)[] = [];
    const { first, second, queue, imageStore, finish } = setUp({
      ofSecond: {
        async put(id, bytes) {
          for (const happen of during) await happen();
          await imageStore.put(id, bytes);
        },
      },
    });
    // The first has claimed the key and not queued its check yet.
    const add = queue.add;
    let go = () => undefined as void;
    const held = new Promise<void>((resolve) => (go = resolve));
    queue.add = async (id, job) => {
      if (job.replyTo === 'first') await held;
      await add(id, job);
    };
    const ofFirst = first({ ...submission, id: 'a' });
    during.push(async () => {
      go();
      await ofFirst;
      await finish('a');
    });
    const joined = await second({ ...submission, id: 'b' });
    expect(joined.id).toBe('a');
    expect(await joined.awaitOutcome(1000)).toEqual({ result: exampleResult });
    expect(await imageStore.get(['a', 'b'])).toEqual([undefined, undefined]);
  });
});

describe('a key whose check failed by a fault of ours', () => {
  it('is not shared with another image that took it at the same moment', async () => {
    const { first, queue, idempotencyKeys } = setUp();
    await first({ ...submission, id: 'a' });
    queue.finish('a', { error: 'internal_error' });
    const { replace } = idempotencyKeys;
    idempotencyKeys.replace = async (held, next, at) => {
      await replace(held, { id: 'b', imageSha256: 'of another image' }, at);
      return replace(held, next, at);
    };
    const retry = first({ ...submission, id: 'c' });
    await expect(retry).rejects.toMatchObject({ code: 'idempotency_key_reused' });
  });
});
