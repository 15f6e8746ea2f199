import {
  LivegateError,
  traceWork,
  type CheckQueue,
  type ImageLimits,
  type Leases,
} from '@livegate/core';
import type { Request, RequestHandler, Response } from 'express';
import { baseUrlOf } from '../base-url.js';
import type { Fleet } from '../fleet.js';
import { presentCheck } from '../present-check.js';
import { RETRY_AFTER_SECONDS } from '../present-error.js';
import { jobUrl, presentJob } from '../present-job.js';
import { presentPreference, readPreference, waitOf } from '../read-preference.js';
import { createReadSubmission } from '../read-submission.js';
import { signalClose } from '../signal-close.js';
import type { SubmitCheck, SubmittedCheck } from '../submit-check.js';
import { uploadBytes } from '../upload.js';
import type { UploadPermits } from '../upload-permits.js';
import type { Webhooks } from '../webhooks/open-webhooks.js';

export interface PassiveLivenessOptions {
  limits: ImageLimits;
  waitLimitMs: number;
  publicUrl: string | undefined;
}

export interface PassiveLivenessDeps {
  fleet: Pick<Fleet, 'admit'>;
  leases: Leases;
  queue: CheckQueue;
  uploads: UploadPermits;
  submitCheck: SubmitCheck;
  webhooks: Pick<Webhooks, 'acceptUrl'>;
}

/** One selfie in, one verdict out; or, for a caller who prefers not to wait, one job. */
export function checkPassiveLiveness(
  { limits, waitLimitMs, publicUrl }: PassiveLivenessOptions,
  { fleet, leases, queue, uploads, submitCheck, webhooks }: PassiveLivenessDeps,
): RequestHandler {
  const readSubmission = createReadSubmission(limits, { publicUrl, leases, webhooks });

  return async (req, res) => {
    const preference = readPreference(req, waitLimitMs);
    const waitMs = waitOf(preference, waitLimitMs);
    using check = await submit(req, res, waitMs > 0);
    const { id } = check;
    const submittedAt = performance.now();
    // What can be looked up is the check, which an idempotency key may have begun before.
    res.locals.requestId = id;
    res.set('Request-Id', id);
    const applied = presentPreference(preference);
    if (applied) res.set('Preference-Applied', applied);

    const closed = signalClose(res);
    const outcome = await traceWork('await outcome', () => check.awaitOutcome({ waitMs, closed }));
    if (outcome) return presentCheck(res, outcome, submittedAt);
    if (closed.aborted && waitMs > 0) return check.abandon();
    const baseUrl = baseUrlOf(req, publicUrl);
    res.location(jobUrl(id, baseUrl));
    if (preference.respondAsync) return await presentAccepted(res, id, baseUrl);
    throw new LivegateError('timeout', { isCallersChoice: waitMs < waitLimitMs });
  };

  /** Throws `unavailable` or `overloaded` before the body is read. */
  async function submit(req: Request, res: Response, isAwaited: boolean): Promise<SubmittedCheck> {
    using place = fleet.admit({ isAwaited });
    using permit = uploads.take(uploadBytes(req, limits));
    // It must not stay in memory while the caller waits: this function ends before.
    const submission = await traceWork('read upload', () => readSubmission(req, res, isAwaited));
    permit.shrinkTo(submission.image.length);
    const submitted = await submitCheck(submission);
    place.queued();
    return submitted;
  }

  async function presentAccepted(res: Response, id: string, baseUrl: string): Promise<void> {
    const record = await queue.read(id);
    // Erased within the last millisecond.
    if (!record) throw new LivegateError('canceled');
    res.locals.outcome = record.status;
    res.status(202).set('Retry-After', String(RETRY_AFTER_SECONDS));
    res.json(presentJob(record, baseUrl));
  }
}
