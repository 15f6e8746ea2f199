import {
  JOB_VERSION,
  traceWork,
  type CheckOutcome,
  type CheckQueue,
  type ImageStore,
  type ReplyInbox,
} from '@livegate/core';
import { awaitReply, type AwaitCheck } from './await-check.js';
import type { ClaimKey } from './claim-key.js';

export interface Submission {
  /** The Request-Id; also the id of the job and of the image, unless a key says otherwise. */
  id: string;
  tenant: string;
  image: Uint8Array;
  /** Whether the caller waits here, so that the worker is to reply. */
  isAwaited: boolean;
  webhookUrl?: string;
  idempotencyKey?: string;
}

/** A check that is in the queue. It does not hold its image, however long its caller waits. */
export interface SubmittedCheck {
  /** An earlier one's, where the idempotency key stands for that. */
  id: string;
  /** `undefined` when the wait ran out: the check goes on without its caller. Call it once. */
  awaitOutcome(waitMs: number): Promise<CheckOutcome | undefined>;
}

export interface SubmitCheckDeps {
  imageStore: ImageStore;
  queue: CheckQueue;
  replies: ReplyInbox;
  claimKey: ClaimKey;
  awaitCheck: AwaitCheck;
}

export type SubmitCheck = (submission: Submission) => Promise<SubmittedCheck>;

/** Stores the image and queues its check, or joins the one that its idempotency key stands for. */
export function createSubmitCheck(deps: SubmitCheckDeps): SubmitCheck {
  return async (submission) => {
    const id = await deps.claimKey(submission);
    return id === submission.id ? submitNew(submission, deps) : join(id, submission, deps);
  };
}

async function submitNew(submission: Submission, deps: SubmitCheckDeps): Promise<SubmittedCheck> {
  const { id } = submission;
  const { queue, replies } = deps;
  const reply = replies.expect(id);
  try {
    await enqueue(submission, deps);
  } catch (error) {
    reply.forget();
    throw error;
  }
  return {
    id,
    awaitOutcome: (waitMs) =>
      awaitReply({ id, reply, queue }, waitMs).finally(() => reply.forget()),
  };
}

/** The same check was submitted before: perhaps this very millisecond, on another gateway. */
async function join(
  id: string,
  submission: Submission,
  deps: SubmitCheckDeps,
): Promise<SubmittedCheck> {
  const { queue, imageStore, awaitCheck } = deps;
  // Its first sender may have died between claiming the key and queueing the job, or be about to
  // queue it: the queue keeps one job of each id, whoever comes first.
  const isMissing = (await queue.read(id)) === undefined;
  if (isMissing) await enqueue({ ...submission, id }, deps);
  else if (submission.isAwaited) await queue.hasten(id);
  return {
    id,
    async awaitOutcome(waitMs) {
      const record = await awaitCheck(id, waitMs);
      // It may have ended while our copy of its image was on the way.
      if (isMissing && record?.outcome) await imageStore.delete(id);
      return record?.outcome;
    },
  };
}

async function enqueue(submission: Submission, deps: SubmitCheckDeps): Promise<void> {
  const { id, tenant, image, isAwaited, webhookUrl } = submission;
  const { imageStore, queue, replies } = deps;
  try {
    await traceWork('store image', () => imageStore.put(id, image));
    await queue.add(id, {
      version: JOB_VERSION,
      tenant,
      imageBytes: image.length,
      ...(isAwaited && { replyTo: replies.address }),
      ...(webhookUrl !== undefined && { webhookUrl }),
    });
  } catch (error) {
    // Best effort, also for a write that timed out here and still arrived there: an image nobody will
    // check should not wait for its expiry. Nor should its caller wait for a Redis that is away.
    imageStore.delete(id).catch(() => undefined);
    throw error;
  }
}
