import { createFakeCheckQueue, createFakeIdempotencyKeys, exampleJob } from '@livegate/testing';
import { expect, test } from 'vitest';
import { createClaimKey } from './submit-check.js';

test('refuses an idempotency key that another image claims at the same moment', async () => {
  const queue = createFakeCheckQueue();
  const idempotencyKeys = createFakeIdempotencyKeys();
  const claimKey = createClaimKey({ queue, idempotencyKeys });
  const submission = {
    tenant: 'acme',
    image: Uint8Array.of(1),
    isAwaited: true,
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
