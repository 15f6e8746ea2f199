import type { CheckQueue, DeletableCheck, IdempotencyKeys, ImageStore } from '@livegate/core/ports';
import type { Webhooks } from '../webhooks/open-webhooks.js';

export interface EndCheckDeps {
  queue: CheckQueue;
  imageStore: ImageStore;
  idempotencyKeys: IdempotencyKeys;
  webhooks: Pick<Webhooks, 'announce' | 'delete'>;
}

/** The two ways in which a caller ends a check. */
export function createCancelAndDelete(deps: EndCheckDeps) {
  return { cancelCheck: createCancelCheck(deps), deleteCheck: createDeleteCheck(deps) };
}

/** Resolves with false if the check had already ended. */
export type CancelCheck = (check: DeletableCheck) => Promise<boolean>;

/** Cancels a check and deletes its image at once, before a worker takes the job. */
function createCancelCheck({ queue, imageStore, webhooks }: EndCheckDeps): CancelCheck {
  return async (check) => {
    if (!(await queue.cancel(check.id))) return false;
    await Promise.all([imageStore.delete(check.id), webhooks.announce(check)]);
    return true;
  };
}

export type DeleteCheck = (check: DeletableCheck) => Promise<void>;

/**
 * Deletes everything stored about a check. Hides it first, so that nothing is added meanwhile, and
 * deletes its job last: if the gateway dies in between, `listHidden` still returns it. Idempotent.
 */
function createDeleteCheck(deps: EndCheckDeps): DeleteCheck {
  const { queue, imageStore, idempotencyKeys, webhooks } = deps;
  return async (check) => {
    const { id, tenant, keySha256 } = check;
    await queue.hide(id);
    await Promise.all([
      imageStore.delete(id),
      webhooks.delete(check),
      keySha256 !== undefined && idempotencyKeys.release({ tenant, keySha256 }, id),
    ]);
    await queue.delete(id);
  };
}
