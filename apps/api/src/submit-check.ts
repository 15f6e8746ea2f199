import {
  SCHEMA_VERSION,
  type CheckOutcome,
  type CheckQueue,
  type ImageStore,
  type ReplyInbox,
} from '@livegate/core';

export interface Submission {
  /** The Request-Id: also the id of the job and of the image. */
  id: string;
  tenant: string;
  image: Uint8Array;
}

export interface SubmitCheckDeps {
  imageStore: ImageStore;
  queue: CheckQueue;
  replies: ReplyInbox;
}

/** Resolves to `undefined` when the wait ran out: the check goes on without its caller. */
export type SubmitCheck = (
  submission: Submission,
  waitMs: number,
) => Promise<CheckOutcome | undefined>;

/** Stores the image, queues its check, and waits for the outcome. */
export function createSubmitCheck({ imageStore, queue, replies }: SubmitCheckDeps): SubmitCheck {
  return async ({ id, tenant, image }, waitMs) => {
    await imageStore.put(id, image);
    const reply = replies.expect(id);
    try {
      await queue.add(id, {
        version: SCHEMA_VERSION,
        tenant,
        replyTo: replies.address,
        imageBytes: image.length,
      });
    } catch (error) {
      reply.forget();
      // Best effort: an image nobody will check should not wait for its expiry.
      await imageStore.delete(id).catch(() => undefined);
      throw error;
    }
    return (await reply.within(waitMs)) ?? readLateOutcome(id);
  };

  /** A reply can be lost with the worker that owed it; what the queue holds cannot. */
  function readLateOutcome(id: string): Promise<CheckOutcome | undefined> {
    return queue.readOutcome(id).catch(() => undefined);
  }
}
