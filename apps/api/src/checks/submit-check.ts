import { createHash } from 'node:crypto';
import {
  type CheckOutcome,
  type ImageHasher,
  JOB_VERSION,
  plainImageHasher,
  type QualityPolicy,
} from '@livegate/core/domain';
import type { CheckQueue, IdempotencyKeys, ImageStore, ReplyInbox } from '@livegate/core/ports';
import { traceWork } from '@livegate/core/telemetry';
import type { Ranked } from '../admission/admit-check.js';
import { type AwaitCheck, awaitReply, GONE, type Wait } from './await-check.js';
import { type Claimant, type ClaimKey, claimOf } from './claim-key.js';
import type { CancelCheck } from './end-check.js';

export interface Submission {
  /** The Request-Id; also the id of the job and the image, unless the check joins an earlier one. */
  id: string;
  tenant: string;
  image: Uint8Array;
  /** Whether the caller waits for the outcome, so that the worker must reply to this gateway. */
  isAwaited: boolean;
  /** Called before anything is stored. Throws `overloaded`. */
  takeRank(): Promise<Ranked>;
  /** How the caller wants to hear of a weak image; absent for `header`. */
  qualityPolicy?: QualityPolicy;
  webhookUrl?: string;
  /** The URL at which the caller reached this gateway. */
  baseUrl: string;
  idempotencyKey?: string;
  /** The hosted session that the check is for. */
  sid?: string;
}

/** A queued check. Does not keep the image, since the caller may wait long. */
export interface SubmittedCheck extends Disposable {
  /** The id of an earlier check if the idempotency key belongs to that one. */
  id: string;
  /** `undefined` if the wait ends first; the check goes on. */
  awaitOutcome(wait: Wait): Promise<CheckOutcome | undefined>;
  /** For a caller who hung up: cancels the check unless a key or a webhook still needs it. */
  abandon(): Promise<void>;
  /** For a caller whose wait is over: runs as an async check, or last if no job was asked for. */
  defer(isJobWanted: boolean): Promise<void>;
}

export interface SubmitCheckDeps {
  imageStore: ImageStore;
  queue: CheckQueue;
  replies: ReplyInbox;
  idempotencyKeys: IdempotencyKeys;
  claimKey: ClaimKey;
  /** As `claimKey` has it. */
  imageHasher?: ImageHasher;
  awaitCheck: AwaitCheck;
  cancelCheck: CancelCheck;
  /** Whether the tenant has an enabled webhook endpoint. */
  hasEndpoints(tenant: string): Promise<boolean>;
}

/** With the hash of its idempotency key. */
type KeyedSubmission = Submission & Claimant;

export type SubmitCheck = (submission: Submission) => Promise<SubmittedCheck>;

/** Stores the image and queues its check, or joins the earlier check that its idempotency key belongs to. */
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
  const id = await claim(submission, deps);
  return id === submission.id ? submitNew(submission, deps) : join(id, submission, deps);
}

/** A submission with a key has claimed that key. */
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
  const isAnnounced = async () => webhookUrl !== undefined || (await deps.hasEndpoints(tenant));
  return {
    id,
    awaitOutcome: (wait) => awaitReply({ id, reply, queue }, wait),
    async abandon() {
      if (idempotencyKey !== undefined || (await isAnnounced())) return;
      // The caller never received the id, so there can be no other waiter.
      await deps.cancelCheck({ id, tenant });
    },
    async defer(isJobWanted) {
      // With a key, another caller may still wait.
      if (idempotencyKey !== undefined) return;
      await queue.defer(id, isJobWanted || (await isAnnounced()) ? 'async' : 'last');
    },
    [Symbol.dispose]: reply.release,
  };
}

/** Resolves with its own id, or with the id of the check that took over its key. */
async function enqueue(
  submission: Submission | KeyedSubmission,
  deps: SubmitCheckDeps,
): Promise<string> {
  const { id } = submission;
  const { rank, ...facts } = await submission.takeRank();
  await traceWork('store image', () => deps.imageStore.put(id, submission.image));
  // Storing may have taken so long that another gateway considered this one dead.
  const holder = 'keySha256' in submission ? await deps.claimKey(submission, 'stored') : id;
  if (holder === id) await deps.queue.add(id, { ...describeJob(submission, deps), ...facts }, rank);
  else await deps.imageStore.delete(id);
  return holder;
}

function describeJob(submission: Submission | KeyedSubmission, { replies }: SubmitCheckDeps) {
  const { tenant, image, isAwaited, qualityPolicy, webhookUrl, baseUrl, sid } = submission;
  const isKept = webhookUrl !== undefined || sid !== undefined || 'keySha256' in submission;
  const isCallersOnly = isAwaited && !isKept;
  return {
    version: JOB_VERSION,
    tenant,
    baseUrl,
    imageBytes: image.length,
    ...(isAwaited && { replyTo: replies.address }),
    ...(isCallersOnly && { isCallersOnly }),
    ...(webhookUrl !== undefined && { webhookUrl }),
    ...(sid !== undefined && { sid }),
    // An older worker ignores it, and older gateways show the verdict.
    ...(qualityPolicy && qualityPolicy !== 'header' && { qualityPolicy }),
    ...('keySha256' in submission && { keySha256: submission.keySha256 }),
  };
}

async function claim(submission: KeyedSubmission, deps: SubmitCheckDeps): Promise<string> {
  return await deps.claimKey(submission, 'new').catch((error: unknown) => {
    // The failed claim may still reach Redis, and must not block the caller's retry.
    void deps.idempotencyKeys.release(submission, submission.id).catch(() => undefined);
    throw error;
  });
}

/** Undoes a failed submission, best effort: a command that timed out may have reached Redis. */
async function withdraw(
  submission: Submission | KeyedSubmission,
  deps: SubmitCheckDeps,
): Promise<void> {
  const { id } = submission;
  const { imageStore, queue, idempotencyKeys } = deps;
  if ('keySha256' in submission && !(await takeBack(submission, deps))) return;
  const freeKey = 'keySha256' in submission && idempotencyKeys.release(submission, id);
  await Promise.allSettled([queue.delete(id), imageStore.delete(id), freeKey]);
}

/**
 * Lets no other request join the check from now on. False if one has joined it, or if that is
 * unknown: the check may then have been accepted, and must run.
 */
async function takeBack(
  submission: KeyedSubmission,
  { idempotencyKeys: keys, imageHasher = plainImageHasher }: SubmitCheckDeps,
): Promise<boolean> {
  const stored = claimOf(submission, 'stored', imageHasher);
  try {
    const held = await keys.replace(submission, stored, { ...stored, isWithdrawn: true });
    return held.id !== submission.id || !held.isJoined;
  } catch {
    return false;
  }
}

/** Joins a check that an earlier request queued, perhaps at another gateway. */
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
    // A check with a key is kept for retries, and `awaitCheck` releases its own waiter.
    abandon: async () => undefined,
    defer: async () => undefined,
    [Symbol.dispose]: () => undefined,
  };
}
