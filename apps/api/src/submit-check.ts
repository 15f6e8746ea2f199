import {
  SCHEMA_VERSION,
  type CheckOutcome,
  type CheckQueue,
  type ImageStore,
  type ReplyInbox,
} from '@livegate/core';
import type { AwaitCheck } from './await-check.js';
import type { ClaimKey } from './claim-key.js';

export interface Submission {
  /** The Request-Id; also the id of the job and of the image, unless a key says otherwise. */
  id: string;
  tenant: string;
  image: Uint8Array;
  webhookUrl?: string;
  idempotencyKey?: string;
}

export interface SubmittedCheck {
  /** An earlier one's, where the idempotency key stands for that. */
  id: string;
  /** Absent when the wait ran out: the check goes on without its caller. */
  outcome?: CheckOutcome;
}

export interface SubmitCheckDeps {
  imageStore: ImageStore;
  queue: CheckQueue;
  replies: ReplyInbox;
  claimKey: ClaimKey;
  awaitCheck: AwaitCheck;
}

export type SubmitCheck = (submission: Submission, waitMs: number) => Promise<SubmittedCheck>;

/** Stores the image, queues its check, and waits for the outcome. */
export function createSubmitCheck(deps: SubmitCheckDeps): SubmitCheck {
  const { imageStore, queue, replies, claimKey, awaitCheck } = deps;

  return async (submission, waitMs) => {
    const id = await claimKey(submission);
    return id === submission.id ? submitNew(submission, waitMs) : join(id, submission, waitMs);
  };

  async function submitNew(submission: Submission, waitMs: number): Promise<SubmittedCheck> {
    const { id } = submission;
    const reply = replies.expect(id);
    try {
      await enqueue(id, submission, waitMs > 0);
      const outcome = (await reply.within(waitMs)) ?? (await readLateOutcome(id, waitMs));
      return { id, ...(outcome && { outcome }) };
    } finally {
      reply.forget();
    }
  }

  /** The same check was submitted before: perhaps this very millisecond, on another gateway. */
  async function join(id: string, submission: Submission, waitMs: number): Promise<SubmittedCheck> {
    // Its first sender may have died between claiming the key and queueing the job, or be about to
    // queue it: the queue keeps one job of each id, whoever comes first.
    const isMissing = (await queue.read(id)) === undefined;
    if (isMissing) await enqueue(id, submission, false);
    const record = await awaitCheck(id, waitMs);
    // It may have ended while our copy of its image was on the way.
    if (isMissing && record?.outcome) await imageStore.delete(id);
    return { id, ...(record?.outcome && { outcome: record.outcome }) };
  }

  async function enqueue(id: string, submission: Submission, isWaiting: boolean): Promise<void> {
    const { tenant, image, webhookUrl } = submission;
    await imageStore.put(id, image);
    try {
      await queue.add(id, {
        version: SCHEMA_VERSION,
        tenant,
        imageBytes: image.length,
        ...(isWaiting && { replyTo: replies.address }),
        ...(webhookUrl !== undefined && { webhookUrl }),
      });
    } catch (error) {
      // Best effort: an image nobody will check should not wait for its expiry.
      await imageStore.delete(id).catch(() => undefined);
      throw error;
    }
  }

  /** A reply can be lost with the worker that owed it; what the queue holds cannot. */
  async function readLateOutcome(id: string, waitMs: number): Promise<CheckOutcome | undefined> {
    if (waitMs === 0) return undefined;
    const record = await queue.read(id).catch(() => undefined);
    return record?.outcome;
  }
}
