import { LivegateError } from '@livegate/core/domain';
import { createFakeCheckQueue, createFakeIdempotencyKeys, exampleJob } from '@livegate/testing';
import { expect, test, vi } from 'vitest';
import { createClaimKey, createSubmitCheck, type SubmitCheckDeps } from './submit-check.js';

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
