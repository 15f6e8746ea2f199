import {
  JOB_VERSION,
  traceWork,
  type CheckOutcome,
  type CheckQueue,
  type ImageStore,
  type ReplyInbox,
} from '@livegate/core';
import { awaitReply, type AwaitCheck, type Wait } from './await-check.js';
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
export interface SubmittedCheck extends Disposable {
  /** An earlier one's, where the idempotency key stands for that. */
  id: string;
  /** `undefined` when the wait is over: the check goes on without its caller. */
  awaitOutcome(wait: Wait): Promise<CheckOutcome | undefined>;
  /** Its caller is gone: cancels the check, unless it is wanted without that caller. */
  abandon(): Promise<void>;
}

export interface SubmitCheckDeps {
  imageStore: ImageStore;
  queue: CheckQueue;
  replies: ReplyInbox;
  claimKey: ClaimKey;
  awaitCheck: AwaitCheck;
  /** Whether a webhook endpoint of the tenant is told of every check. */
  hasEndpoints(tenant: string): Promise<boolean>;
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
    reply.release();
    throw error;
  }
  const { tenant, idempotencyKey, webhookUrl } = submission;
  return {
    id,
    awaitOutcome: (wait) => awaitReply({ id, reply, queue }, wait),
    async abandon() {
      const isKept = idempotencyKey !== undefined || webhookUrl !== undefined;
      if (isKept || (await deps.hasEndpoints(tenant))) return;
      // Only the answer would have told its id, so nobody else can be waiting for it.
      if (await queue.cancel(id)) await deps.imageStore.delete(id);
    },
    [Symbol.dispose]: reply.release,
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
    async awaitOutcome(wait) {
      const record = await awaitCheck(id, wait);
      // It may have ended while our copy of its image was on the way.
      if (isMissing && record?.outcome) await imageStore.delete(id);
      return record?.outcome;
    },
    // A check with a key is wanted without its caller, and this one's waiter is `awaitCheck`'s.
    abandon: async () => undefined,
    [Symbol.dispose]: () => undefined,
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
    // check should not wait for its expiry.
    await imageStore.delete(id).catch(() => undefined);
    throw error;
  }
}
