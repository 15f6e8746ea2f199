import type { CheckOutcome } from '../domain/check.js';
import type { Leases } from '../domain/operation/leases.js';
import type { ReplyWaiter } from '../ports.js';

/** Matches the replies of one stream with their waiters. One check may have several waiters. */
export function createReplyWaiters(leases: Leases) {
  const waiting = new Map<string, Set<(outcome: CheckOutcome | undefined) => void>>();

  return {
    expect(id: string): ReplyWaiter {
      const resolvers = waiting.get(id) ?? new Set();
      waiting.set(id, resolvers);
      let resolve!: (outcome: CheckOutcome | undefined) => void;
      const outcome = new Promise<CheckOutcome | undefined>((settle) => (resolve = settle));
      resolvers.add(resolve);
      const lease = leases.take('reply_waiter', () => {
        resolvers.delete(resolve);
        if (resolvers.size === 0 && waiting.get(id) === resolvers) waiting.delete(id);
        resolve(undefined);
      });
      return { ...lease, within: (waitMs) => limitTo(waitMs, outcome) };
    },
    /** Drops a reply without a waiter: the queue still has the outcome. */
    deliver(id: string, outcome: CheckOutcome): void {
      const resolvers = waiting.get(id) ?? [];
      waiting.delete(id);
      for (const resolve of resolvers) resolve(outcome);
    },
  };
}

async function limitTo<T>(waitMs: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, waitMs, undefined);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}
