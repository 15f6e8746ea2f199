import { LivegateError } from '@livegate/core/domain';
import {
  createFakeCheckQueue,
  createFakeIdempotencyKeys,
  createFakeImageStore,
  createFakeReplies,
  exampleJob,
} from '@livegate/testing';
import { expect, test, vi } from 'vitest';
import { createClaimKey } from './claim-key.js';
import { createSubmitCheck, type SubmitCheckDeps } from './submit-check.js';

test('refuses an idempotency key that another image claims at the same moment', async () => {
  const queue = createFakeCheckQueue();
  const idempotencyKeys = createFakeIdempotencyKeys();
  const claimKey = createClaimKey({ queue, idempotencyKeys });
  const submission = {
    tenant: 'acme',
    image: Uint8Array.of(1),
    isAwaited: true,
    takeRank: async () => ({ rank: 1 }),
    baseUrl: '',
    keySha256: 'of the key',
  };
  await claimKey({ ...submission, id: 'a' }, 'new');
  await queue.add('a', exampleJob);
  queue.finish('a', { error: 'internal_error' });

  const { replace } = idempotencyKeys;
  idempotencyKeys.replace = async (at, held, own) => {
    await replace(at, held, { id: 'b', imageSha256: 'of another image' });
    return replace(at, held, own);
  };
  const retry = claimKey({ ...submission, id: 'c' }, 'new');
  await expect(retry).rejects.toMatchObject({ code: 'idempotency_key_reused' });
});

test.each([
  ['only its caller wants it', {}, true],
  ['nobody waits for it', { isAwaited: false }, undefined],
  ['it has a key', { idempotencyKey: 'key' }, undefined],
  ['it has a URL', { webhookUrl: 'https://example.com/' }, undefined],
  ['it is for a session', { sid: 'sid' }, undefined],
])('a job says whether a dead gateway ends it: %s', async (_name, own, isCallersOnly) => {
  const queue = createFakeCheckQueue();
  const idempotencyKeys = createFakeIdempotencyKeys();
  const submitCheck = createSubmitCheck({
    queue,
    idempotencyKeys,
    imageStore: createFakeImageStore(),
    replies: createFakeReplies().createInbox('a'),
    claimKey: createClaimKey({ queue, idempotencyKeys }),
    hasEndpoints: async () => false,
  } as unknown as SubmitCheckDeps);
  const takeRank = async () => ({ rank: 1 });
  const submission = { id: 'a', tenant: 'acme', image: Uint8Array.of(1), takeRank, baseUrl: '' };
  using check = await submitCheck({ ...submission, isAwaited: true, ...own });
  expect(queue.jobs.get('a')?.isCallersOnly).toBe(isCallersOnly);
  // Its caller is told of the job.
  await check.defer(false);
  expect(queue.jobs.get('a')?.isCallersOnly).toBeUndefined();
});

test('releases a claim that timed out, which may have reached Redis all the same', async () => {
  const release = vi.fn<() => Promise<void>>(async () => undefined);
  const submitCheck = createSubmitCheck({
    idempotencyKeys: { ...createFakeIdempotencyKeys(), release },
    claimKey: () => Promise.reject(new LivegateError('unavailable')),
  } as unknown as SubmitCheckDeps);
  const takeRank = async () => ({ rank: 1 });
  const submission = { id: 'a', tenant: 'acme', image: Uint8Array.of(1), takeRank, baseUrl: '' };
  const submitted = submitCheck({ ...submission, isAwaited: true, idempotencyKey: 'key' });
  await expect(submitted).rejects.toMatchObject({ code: 'unavailable' });
  expect(release).toHaveBeenCalledWith(expect.objectContaining({ tenant: 'acme' }), 'a');
});

test('a check that another request has joined outlives the failure of its own request', async () => {
  const queue = createFakeCheckQueue();
  const imageStore = createFakeImageStore();
  const idempotencyKeys = createFakeIdempotencyKeys();
  const claimKey = createClaimKey({ queue, idempotencyKeys });
  const common = { imageStore, idempotencyKeys, claimKey, replies: createFakeReplies() };
  const open = (own: object) =>
    createSubmitCheck({
      ...common,
      queue,
      replies: common.replies.createInbox('a'),
      ...own,
    } as unknown as SubmitCheckDeps);
  const takeRank = async () => ({ rank: 1 });
  const submission = { tenant: 'acme', image: Uint8Array.of(1), baseUrl: '', isAwaited: false };
  const keyed = { ...submission, takeRank, idempotencyKey: 'key' };
  let joined = '';
  const add: typeof queue.add = async (id, job, rank) => {
    await queue.add(id, job, rank);
    joined = (await open({})({ ...keyed, id: 'b' })).id;
    throw new LivegateError('unavailable');
  };
  const withdrawn = vi.spyOn(idempotencyKeys, 'replace');
  const first = open({ queue: { ...queue, add } })({ ...keyed, id: 'a' });
  await expect(first).rejects.toMatchObject({ code: 'unavailable' });
  const isWithdrawn = () => withdrawn.mock.calls.some(([, , next]) => next.isWithdrawn);
  await expect.poll(isWithdrawn).toBe(true);
  await new Promise((resolve) => setImmediate(resolve));
  expect(joined).toBe('a');
  expect(await queue.read('a')).toMatchObject({ status: 'queued' });
  expect(await imageStore.get(['a'])).toEqual([Uint8Array.of(1)]);
});

test('a check whose request withdraws it is not joined, and its key is free at once', async () => {
  const queue = createFakeCheckQueue();
  const idempotencyKeys = createFakeIdempotencyKeys();
  const claimKey = createClaimKey({ queue, idempotencyKeys });
  const at = { tenant: 'acme', keySha256: 'of the key' };
  const submission = { ...at, image: Uint8Array.of(1), isAwaited: true, baseUrl: '' };
  await claimKey({ ...submission, id: 'a' }, 'new');
  await claimKey({ ...submission, id: 'a' }, 'stored');
  await queue.add('a', exampleJob);
  const held = await idempotencyKeys.claim(at, { id: '', imageSha256: '' });
  await idempotencyKeys.replace(at, held, { ...held, isWithdrawn: true });
  expect(await claimKey({ ...submission, id: 'b' }, 'new')).toBe('b');
});
