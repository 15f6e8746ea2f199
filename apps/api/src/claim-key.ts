import { createHash } from 'node:crypto';
import {
  LivegateError,
  type CheckQueue,
  type IdempotencyKeys,
  type KeyClaim,
} from '@livegate/core';
import type { Submission } from './submit-check.js';

export interface ClaimKeyDeps {
  idempotencyKeys: IdempotencyKeys;
  queue: CheckQueue;
}

/** Resolves with the id of the check that this submission is: its own, or an earlier one's. */
export type ClaimKey = (submission: Submission) => Promise<string>;

/** Throws `idempotency_key_reused` when the key stands for another image. */
export function createClaimKey({ idempotencyKeys, queue }: ClaimKeyDeps): ClaimKey {
  return async ({ id, tenant, image, idempotencyKey: key }) => {
    if (key === undefined) return id;
    const own = { id, imageSha256: createHash('sha256').update(image).digest('hex') };
    const held = requireSameImage(await idempotencyKeys.claim(tenant, key, own), own);
    if (held.id === id || !(await failedByUs(held.id))) return held.id;
    // A fault of ours is no answer: the caller may try again under the same key. Of several that
    // do so at once, one gets its way and the others join it.
    return requireSameImage(await idempotencyKeys.replace(held, own, { tenant, key }), own).id;
  };

  async function failedByUs(id: string): Promise<boolean> {
    const record = await queue.read(id);
    if (!record?.outcome || !('error' in record.outcome)) return false;
    return ['internal_error', 'image_expired'].includes(record.outcome.error);
  }
}

function requireSameImage(held: KeyClaim, own: KeyClaim): KeyClaim {
  if (held.imageSha256 === own.imageSha256) return held;
  throw new LivegateError('idempotency_key_reused');
}
