import {
  isFinished,
  type CheckOutcome,
  type CheckQueue,
  type CheckRecord,
  type ReplyInbox,
  type ReplyWaiter,
} from '@livegate/core';

/** A waiting caller's gateway looks into the queue this often, in case a reply was lost. */
const LOOK_MS = 3000;

export interface AwaitCheckDeps {
  queue: CheckQueue;
  replies: ReplyInbox;
}

export interface Wait {
  /** At most, in milliseconds. */
  waitMs: number;
  /** Aborts when the caller is gone, which ends the wait. */
  closed: AbortSignal;
}

/** Resolves with the check as it is when it ends, or as it is when the wait is over. */
export type AwaitCheck = (id: string, wait: Wait) => Promise<CheckRecord | undefined>;

/** For a check that is on its way already, perhaps from another gateway. */
export function createAwaitCheck({ queue, replies }: AwaitCheckDeps): AwaitCheck {
  return async (id, wait) => {
    if (wait.waitMs === 0) return queue.read(id);
    using reply = await replies.attach(id);
    // Read after attaching: if it has not ended by now, the reply cannot be missed.
    const record = await queue.read(id);
    if (!record || isFinished(record.status)) return record;
    await awaitReply({ id, reply, queue }, wait);
    return await queue.read(id);
  };
}

export interface AwaitedReply {
  id: string;
  reply: ReplyWaiter;
  queue: CheckQueue;
}

/**
 * Resolves with the outcome, or `undefined` when the wait is over. A reply can be lost with the worker
 * that owed it or with a connection; what the queue holds cannot.
 */
export async function awaitReply(
  { id, reply, queue }: AwaitedReply,
  { waitMs, closed }: Wait,
): Promise<CheckOutcome | undefined> {
  const deadline = performance.now() + waitMs;
  const gone = new Promise<undefined>((resolve) => {
    closed.addEventListener('abort', () => resolve(undefined));
  });
  if (closed.aborted) return undefined;
  for (let leftMs = waitMs; leftMs > 0; leftMs = deadline - performance.now()) {
    const outcome = await Promise.race([gone, reply.within(Math.min(leftMs, LOOK_MS))]);
    if (outcome) return outcome;
    if (closed.aborted) return undefined;
    const record = await queue.read(id).catch(() => undefined);
    if (record?.outcome) return record.outcome;
  }
  return undefined;
}
