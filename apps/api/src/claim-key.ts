import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import {
  LivegateError,
  type CheckQueue,
  type CheckRecord,
  type IdempotencyKeys,
  type KeyClaim,
} from '@livegate/core';
import type { Submission } from './submit-check.js';

/** A key whose check is not queued after this was claimed by a gateway that died. */
const CLAIM_MS = 3000;
/** Between two looks for a check that another gateway is about to queue. */
const LOOK_MS = 50;

export interface ClaimKeyDeps {
  idempotencyKeys: IdempotencyKeys;
  queue: CheckQueue;
}

export type KeyedSubmission = Submission & { keySha256: string };

/**
 * Resolves with the submission's own id, which is then to be queued, or with that of an earlier check
 * that is in the queue. Throws `idempotency_key_reused` when that one has another image.
 */
export type ClaimKey = (submission: KeyedSubmission, stage: 'new' | 'stored') => Promise<string>;

/** A key stands for one check, as long as that runs or has a verdict: all others leave it free. */
export function createClaimKey({ idempotencyKeys, queue }: ClaimKeyDeps): ClaimKey {
  return async ({ id, tenant, image, keySha256 }, stage) => {
    const at = { tenant, keySha256 };
    const fresh = { id, imageSha256: createHash('sha256').update(image).digest('hex') };
    // Its claim changes before its check is queued, so that whoever took the gateway for dead until then
    // cannot replace it any more.
    const own: KeyClaim = stage === 'new' ? fresh : { ...fresh, isStored: true };
    let seen: KeyClaim | undefined;
    let lapsesAt = 0;
    for (;;) {
      const held =
        stage === 'new'
          ? await idempotencyKeys.claim(at, own)
          : await idempotencyKeys.replace(at, fresh, own);
      if (held.id === id) return id;
      if (!isDeepStrictEqual(held, seen)) lapsesAt = performance.now() + CLAIM_MS;
      seen = held;
      const record = await queue.read(held.id);
      if (record ? endedWithoutVerdict(record) : performance.now() > lapsesAt) {
        // Of several that do so at once, one gets its way and the others join it.
        await idempotencyKeys.replace(at, held, own);
      } else {
        requireSameImage(held, own);
        if (record) return held.id;
        await delay(LOOK_MS);
      }
    }
  };
}

function endedWithoutVerdict({ outcome }: CheckRecord): boolean {
  return outcome !== undefined && 'error' in outcome;
}

function requireSameImage(held: KeyClaim, own: KeyClaim): void {
  if (held.imageSha256 !== own.imageSha256) throw new LivegateError('idempotency_key_reused');
}
