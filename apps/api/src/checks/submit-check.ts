import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import {
  type CheckOutcome,
  type CheckRecord,
  JOB_VERSION,
  LivegateError,
} from '@livegate/core/domain';
import type {
  CheckQueue,
  IdempotencyKeys,
  ImageStore,
  KeyClaim,
  ReplyInbox,
} from '@livegate/core/ports';
import { traceWork } from '@livegate/core/telemetry';
import { type AwaitCheck, awaitReply, GONE, type Wait } from './await-check.js';
import type { CancelCheck } from './end-check.js';

export interface Submission {
  /** The Request-Id; also the id of the job and of the image, unless a key says otherwise. */
  id: string;
  tenant: string;
  image: Uint8Array;
  /** Whether the caller waits here, so that the worker is to reply. */
  isAwaited: boolean;
  webhookUrl?: string;
  /** Where the caller reached this gateway. */
  baseUrl: string;
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
  idempotencyKeys: IdempotencyKeys;
  claimKey: ClaimKey;
  awaitCheck: AwaitCheck;
  cancelCheck: CancelCheck;
  /** Whether a webhook endpoint of the tenant is told of every check. */
  hasEndpoints(tenant: string): Promise<boolean>;
}

export type SubmitCheck = (submission: Submission) => Promise<SubmittedCheck>;

/** Stores the image and queues its check, or joins the one that its idempotency key stands for. */
export function createSubmitCheck(deps: SubmitCheckDeps): SubmitCheck {
  return async (submission) => {
    const { idempotencyKey: key } = submission;
    if (key === undefined) return submitNew(submission, deps);
    const keySha256 = createHash('sha256').update(key).digest('hex');
    return submitUnderKey({ ...submission, keySha256 }, deps);
  };
}

async function submitUnderKey(
  submission: KeyedSubmission,
  deps: SubmitCheckDeps,
): Promise<SubmittedCheck> {
  const id = await deps.claimKey(submission, 'new');
  return id === submission.id ? submitNew(submission, deps) : join(id, submission, deps);
}

/** With a key, the submission has claimed it. */
async function submitNew(
  submission: Submission | KeyedSubmission,
  deps: SubmitCheckDeps,
): Promise<SubmittedCheck> {
  const { id } = submission;
  const { queue, replies } = deps;
  const reply = replies.expect(id);
  let queued: string;
  try {
    queued = await enqueue(submission, deps);
  } catch (error) {
    reply.release();
    void withdraw(submission, deps);
    throw error;
  }
  if (queued !== id) {
    reply.release();
    return join(queued, submission, deps);
  }
  const { tenant, idempotencyKey, webhookUrl } = submission;
  return {
    id,
    awaitOutcome: (wait) => awaitReply({ id, reply, queue }, wait),
    async abandon() {
      const isKept = idempotencyKey !== undefined || webhookUrl !== undefined;
      if (isKept || (await deps.hasEndpoints(tenant))) return;
      // Only the answer would have told its id, so nobody else can be waiting for it.
      await deps.cancelCheck({ id, tenant });
    },
    [Symbol.dispose]: reply.release,
  };
}

/** The same check was submitted before, perhaps at another gateway, and is in the queue. */
async function join(
  id: string,
  { isAwaited }: Submission,
  { queue, awaitCheck }: SubmitCheckDeps,
): Promise<SubmittedCheck> {
  if (isAwaited) await queue.prioritize(id);
  return {
    id,
    async awaitOutcome(wait) {
      const record = await awaitCheck(id, wait);
      return record ? record.outcome : GONE;
    },
    // A check with a key is wanted without its caller, and this one's waiter is `awaitCheck`'s.
    abandon: async () => undefined,
    [Symbol.dispose]: () => undefined,
  };
}

/** Resolves with the id of the check that is queued: its own, but where its key was taken over. */
async function enqueue(
  submission: Submission | KeyedSubmission,
  deps: SubmitCheckDeps,
): Promise<string> {
  const { id } = submission;
  await traceWork('store image', () => deps.imageStore.put(id, submission.image));
  // Storing it may have taken so long that another gateway took this one for dead.
  const holder = 'keySha256' in submission ? await deps.claimKey(submission, 'stored') : id;
  if (holder === id) await deps.queue.add(id, describeJob(submission, deps));
  else await deps.imageStore.delete(id);
  return holder;
}

function describeJob(submission: Submission | KeyedSubmission, { replies }: SubmitCheckDeps) {
  const { tenant, image, isAwaited, webhookUrl, baseUrl } = submission;
  return {
    version: JOB_VERSION,
    tenant,
    baseUrl,
    imageBytes: image.length,
    ...(isAwaited && { replyTo: replies.address }),
    ...(webhookUrl !== undefined && { webhookUrl }),
    ...('keySha256' in submission && { keySha256: submission.keySha256 }),
  };
}

/**
 * Best effort, also for commands that timed out here and still arrived there: nobody will ask for this
 * check. Redis may be away, so its caller does not wait.
 */
async function withdraw(
  submission: Submission | KeyedSubmission,
  { imageStore, queue, idempotencyKeys }: SubmitCheckDeps,
): Promise<void> {
  const { id } = submission;
  const freeKey = 'keySha256' in submission && idempotencyKeys.release(submission, id);
  await Promise.allSettled([queue.delete(id), imageStore.delete(id), freeKey]);
}

/** A key whose check is not queued after this was claimed by a gateway that died. */
const CLAIM_MS = 3000;
/** Between two looks for a check that another gateway is about to queue. */
const LOOK_MS = 50;

export interface ClaimKeyDeps {
  idempotencyKeys: IdempotencyKeys;
  queue: CheckQueue;
}

export type KeyedSubmission = Submission & { keySha256: string };

/**
 * Resolves with the submission's own id, which is then to be queued, or with that of an earlier check
 * that is in the queue. Throws `idempotency_key_reused` when that one has another image.
 */
export type ClaimKey = (submission: KeyedSubmission, stage: 'new' | 'stored') => Promise<string>;

/** A key stands for one check, as long as that runs or has a verdict: all others leave it free. */
export function createClaimKey({ idempotencyKeys, queue }: ClaimKeyDeps): ClaimKey {
  return async ({ id, tenant, image, keySha256 }, stage) => {
    const at = { tenant, keySha256 };
    const fresh = { id, imageSha256: createHash('sha256').update(image).digest('hex') };
    // Its claim changes before its check is queued, so that whoever took the gateway for dead until then
    // cannot replace it any more.
    const own: KeyClaim = stage === 'new' ? fresh : { ...fresh, isStored: true };
    let seen: KeyClaim | undefined;
    let lapsesAt = 0;
    for (;;) {
      const held =
        stage === 'new'
          ? await idempotencyKeys.claim(at, own)
          : await idempotencyKeys.replace(at, fresh, own);
      if (held.id === id) return id;
      if (!isDeepStrictEqual(held, seen)) lapsesAt = performance.now() + CLAIM_MS;
      seen = held;
      const record = await queue.read(held.id);
      if (record ? endedWithoutVerdict(record) : performance.now() > lapsesAt) {
        // Of several that do so at once, one gets its way and the others join it.
        await idempotencyKeys.replace(at, held, own);
      } else {
        requireSameImage(held, own);
        if (record) return held.id;
        await delay(LOOK_MS);
      }
    }
  };
}

function endedWithoutVerdict({ outcome }: CheckRecord): boolean {
  return outcome !== undefined && 'error' in outcome;
}

function requireSameImage(held: KeyClaim, own: KeyClaim): void {
  if (held.imageSha256 !== own.imageSha256) throw new LivegateError('idempotency_key_reused');
}
