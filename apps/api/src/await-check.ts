import { isFinished, type CheckQueue, type CheckRecord, type ReplyInbox } from '@livegate/core';

export interface AwaitCheckDeps {
  queue: CheckQueue;
  replies: ReplyInbox;
}

/** Resolves with the check as it is when it ends, or as it is when the wait runs out. */
export type AwaitCheck = (id: string, waitMs: number) => Promise<CheckRecord | undefined>;

/** For a check that is on its way already, perhaps from another gateway. */
export function createAwaitCheck({ queue, replies }: AwaitCheckDeps): AwaitCheck {
  return async (id, waitMs) => {
    if (waitMs === 0) return queue.read(id);
    const reply = await replies.attach(id);
    try {
      // Read after attaching: if it has not ended by now, the reply cannot be missed.
      const record = await queue.read(id);
      if (!record || isFinished(record.status)) return record;
      await reply.within(waitMs);
      return await queue.read(id);
    } finally {
      reply.forget();
    }
  };
}
