import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import {
  type CheckRecord,
  type ImageHasher,
  LivegateError,
  plainImageHasher,
} from '@livegate/core/domain';
import type { CheckQueue, IdempotencyKeys, KeyClaim } from '@livegate/core/ports';

/** A gateway that has not queued the check of its claimed key after this time is considered dead. */
const CLAIM_MS = 3000;
/** Pause between two reads of a check that another gateway is about to queue. */
const POLL_MS = 50;

export interface ClaimKeyDeps {
  idempotencyKeys: IdempotencyKeys;
  queue: CheckQueue;
  imageHasher?: ImageHasher;
}

/** What a claim needs of a submission with an Idempotency-Key. */
export interface Claimant {
  id: string;
  tenant: string;
  keySha256: string;
  image: Uint8Array;
}

/**
 * Resolves with the submission's own id, which must then be queued, or with the id of an earlier check
 * in the queue. Throws `idempotency_key_reused` if that check has another image.
 */
export type ClaimKey = (claimant: Claimant, stage: 'new' | 'stored') => Promise<string>;

/** A key belongs to one check while that runs or has a verdict; a check that ends without one frees it. */
export function createClaimKey(deps: ClaimKeyDeps): ClaimKey {
  const { idempotencyKeys, queue, imageHasher = plainImageHasher } = deps;
  return async (claimant, stage) => {
    const { id, tenant, keySha256 } = claimant;
    const at = { tenant, keySha256 };
    const fresh = claimOf(claimant, 'new', imageHasher);
    const own = claimOf(claimant, stage, imageHasher);
    let seen: KeyClaim | undefined;
    let claimExpiresAt = 0;
    for (;;) {
      const held =
        stage === 'new'
          ? await idempotencyKeys.claim(at, own)
          : await idempotencyKeys.replace(at, fresh, own);
      if (held.id === id) return id;
      if (!isDeepStrictEqual(held, seen)) claimExpiresAt = performance.now() + CLAIM_MS;
      seen = held;
      const record = await queue.read(held.id);
      if (isFree(held, record, claimExpiresAt)) {
        // If several requests replace it at once, one succeeds and the others join its check.
        await idempotencyKeys.replace(at, held, own);
        continue;
      }
      const { imageSha256 } = held;
      // A hash that was made with another key differs, though it may be of the same image.
      if (imageSha256 !== own.imageSha256 && !imageHasher.matches(claimant.image, imageSha256)) {
        throw new LivegateError('idempotency_key_reused');
      }
      if (!record) await delay(POLL_MS);
      // Otherwise its own request could still withdraw the check.
      else if (held.isJoined || (await idempotencyKeys.join(at, held))) return held.id;
    }
  };
}

/**
 * The claim is `stored` before its check is queued, so that a gateway that considered this one dead
 * can no longer replace it.
 */
export function claimOf(
  { id, image }: Claimant,
  stage: 'new' | 'stored',
  imageHasher: ImageHasher,
): KeyClaim {
  const fresh = { id, imageSha256: imageHasher.hash(image) };
  return stage === 'new' ? fresh : { ...fresh, isStored: true };
}

function isFree(held: KeyClaim, record: CheckRecord | undefined, claimExpiresAt: number): boolean {
  if (held.isWithdrawn) return true;
  return record ? endedWithoutVerdict(record) : performance.now() > claimExpiresAt;
}

function endedWithoutVerdict({ outcome }: CheckRecord): boolean {
  return outcome !== undefined && 'error' in outcome;
}
