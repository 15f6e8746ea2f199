import type { CheckOutcome } from './check.js';

/** One caller waiting for one outcome. */
export interface ReplyWaiter {
  /** `undefined` when no reply came within `waitMs`. */
  within(waitMs: number): Promise<CheckOutcome | undefined>;
  /** Stops waiting; `within` then resolves to `undefined`. Idempotent. */
  forget(): void;
}

/** Brings the replies of one stream to the callers that wait for them. */
export function createReplyWaiters() {
  const resolvers = new Map<string, (outcome: CheckOutcome | undefined) => void>();

  return {
    expect(id: string): ReplyWaiter {
      const outcome = new Promise<CheckOutcome | undefined>((resolve) => {
        resolvers.set(id, resolve);
      });
      const forget = () => settle(id, undefined);
      return {
        forget,
        async within(waitMs) {
          const timer = setTimeout(forget, waitMs);
          return outcome.finally(() => clearTimeout(timer));
        },
      };
    },
    /** A reply nobody waits for (any more) is dropped: the queue still holds the outcome. */
    deliver: settle,
  };

  function settle(id: string, outcome: CheckOutcome | undefined): void {
    resolvers.get(id)?.(outcome);
    resolvers.delete(id);
  }
}
