import { type CheckOutcome, type CheckRecord, isFinished } from '@livegate/core/domain';
import type { CheckQueue, ReplyInbox, ReplyWaiter } from '@livegate/core/ports';
import { untilAborted } from '@livegate/core/runtime';

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

/**
 * Resolves with the check as it is when it ends, or as it is when the wait is over; `undefined` as soon
 * as it is seen to be deleted or lost.
 */
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

/** How a check ends for its caller that is deleted, or lost, while the caller waits. */
export const GONE: CheckOutcome = { error: 'canceled' };

/**
 * Resolves with the outcome, or `undefined` when the wait is over. A reply can be lost with the worker
 * that owed it or with a connection; what the queue holds cannot. A check that the queue does not know
 * any more has no outcome to wait for.
 */
export async function awaitReply(
  { id, reply, queue }: AwaitedReply,
  { waitMs, closed }: Wait,
): Promise<CheckOutcome | undefined> {
  const deadline = performance.now() + waitMs;
  const within = (limitMs: number) => untilAborted(closed, reply.within(limitMs));
  for (let leftMs = waitMs; leftMs > 0; leftMs = deadline - performance.now()) {
    const outcome = await within(Math.min(leftMs, LOOK_MS)).catch(() => undefined);
    if (outcome) return outcome;
    if (closed.aborted) return undefined;
    const seen = await look(queue, id);
    if (seen) return seen;
  }
  return undefined;
}

/** `undefined` while the check goes on, as far as is known: a queue out of reach says nothing. */
async function look(queue: CheckQueue, id: string): Promise<CheckOutcome | undefined> {
  try {
    const record = await queue.read(id);
    return record ? record.outcome : GONE;
  } catch {
    return undefined;
  }
}
