import { type CheckOutcome, type CheckRecord, isFinished } from '@livegate/core/domain';
import type { CheckQueue, ReplyInbox, ReplyWaiter } from '@livegate/core/ports';
import { untilAborted } from '@livegate/core/runtime';

/** How often the queue is read for a waiting caller, in case the reply was lost. */
const POLL_MS = 3000;

export interface AwaitCheckDeps {
  queue: CheckQueue;
  replies: ReplyInbox;
}

export interface Wait {
  /** The longest time to wait. */
  waitMs: number;
  /** Aborts when the caller hangs up, which ends the wait. */
  closed: AbortSignal;
}

/**
 * Resolves with the check when it ends or when the wait is over, whichever is first; with `undefined`
 * once the check is found to be deleted or lost.
 */
export type AwaitCheck = (id: string, wait: Wait) => Promise<CheckRecord | undefined>;

/** Waits for a check that is already queued, perhaps by another gateway. */
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

/** The outcome for a caller whose check is deleted or lost during the wait. */
export const GONE: CheckOutcome = { error: 'canceled' };

/**
 * Resolves with the outcome, or `undefined` when the wait is over. Also reads the queue periodically,
 * because a reply can be lost with its worker or with a connection. A check that is no longer in the
 * queue ends as `GONE`.
 */
export async function awaitReply(
  { id, reply, queue }: AwaitedReply,
  { waitMs, closed }: Wait,
): Promise<CheckOutcome | undefined> {
  const deadline = performance.now() + waitMs;
  const within = (limitMs: number) => untilAborted(closed, reply.within(limitMs));
  for (let leftMs = waitMs; leftMs > 0; leftMs = deadline - performance.now()) {
    const outcome = await within(Math.min(leftMs, POLL_MS)).catch(() => undefined);
    if (outcome) return outcome;
    if (closed.aborted) return undefined;
    const ended = await readOutcome(queue, id);
    if (ended) return ended;
  }
  return undefined;
}

/** `undefined` while the check goes on, and while Redis cannot be reached. */
async function readOutcome(queue: CheckQueue, id: string): Promise<CheckOutcome | undefined> {
  try {
    const record = await queue.read(id);
    return record ? record.outcome : GONE;
  } catch {
    return undefined;
  }
}
