import type { CheckQueue, DeletableCheck, IdempotencyKeys, ImageStore } from '@livegate/core/ports';
import type { Webhooks } from '../webhooks/open-webhooks.js';

export interface EndCheckDeps {
  queue: CheckQueue;
  imageStore: ImageStore;
  idempotencyKeys: IdempotencyKeys;
  webhooks: Pick<Webhooks, 'announce' | 'delete'>;
}

/** Both ways to end a check from outside. */
export function createEndings(deps: EndCheckDeps) {
  return { cancelCheck: createCancelCheck(deps), deleteCheck: createDeleteCheck(deps) };
}

/** False: it had ended. */
export type CancelCheck = (check: DeletableCheck) => Promise<boolean>;

/** Cancels a check and deletes its image at once, not only when a worker meets it. */
function createCancelCheck({ queue, imageStore, webhooks }: EndCheckDeps): CancelCheck {
  return async (check) => {
    if (!(await queue.cancel(check.id))) return false;
    await Promise.all([imageStore.delete(check.id), webhooks.announce(check)]);
    return true;
  };
}

export type DeleteCheck = (check: DeletableCheck) => Promise<void>;

/**
 * Deletes all that is kept about a check. Hidden first, so that nothing is added meanwhile, and its job
 * last: a gateway that dies in between leaves it in `listHidden`. Repeating it does no harm.
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
