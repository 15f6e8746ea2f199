import { LivegateError, traceWork, type CheckQueue, type ImageLimits } from '@livegate/core';
import type { Request, RequestHandler, Response } from 'express';
import { baseUrlOf } from '../base-url.js';
import { presentCheck } from '../present-check.js';
import { RETRY_AFTER_SECONDS } from '../present-error.js';
import { jobUrl, presentJob } from '../present-job.js';
import { presentPreference, readPreference, waitOf } from '../read-preference.js';
import { createReadSubmission } from '../read-submission.js';
import type { SubmitCheck, SubmittedCheck } from '../submit-check.js';
import type { UploadPermits } from '../upload-permits.js';
import type { Webhooks } from '../webhooks/open-webhooks.js';

export interface PassiveLivenessOptions {
  limits: ImageLimits;
  waitLimitMs: number;
  publicUrl: string | undefined;
}

export interface PassiveLivenessDeps {
  queue: CheckQueue;
  uploads: UploadPermits;
  submitCheck: SubmitCheck;
  webhooks: Pick<Webhooks, 'acceptUrl'>;
}

/** One selfie in, one verdict out; or, for a caller who prefers not to wait, one job. */
export function checkPassiveLiveness(
  { limits, waitLimitMs, publicUrl }: PassiveLivenessOptions,
  { queue, uploads, submitCheck, webhooks }: PassiveLivenessDeps,
): RequestHandler {
  const readSubmission = createReadSubmission(limits, { publicUrl, uploads, webhooks });

  return async (req, res) => {
    const preference = readPreference(req, waitLimitMs);
    const waitMs = waitOf(preference, waitLimitMs);
    const { id, awaitOutcome } = await submit(req, res, waitMs > 0);
    const submittedAt = performance.now();
    res.locals.place.queued();
    // What can be looked up is the check, which an idempotency key may have begun before.
    res.locals.requestId = id;
    res.set('Request-Id', id);
    const applied = presentPreference(preference);
    if (applied) res.set('Preference-Applied', applied);

    const outcome = await traceWork('await outcome', () => awaitOutcome(waitMs));
    if (outcome) return presentCheck(res, outcome, submittedAt);
    const baseUrl = baseUrlOf(req, publicUrl);
    res.location(jobUrl(id, baseUrl));
    if (preference.respondAsync) return presentAccepted(res, id, baseUrl);
    throw new LivegateError('timeout');
  };

  async function submit(req: Request, res: Response, isAwaited: boolean): Promise<SubmittedCheck> {
    try {
      // The submission is kept in no variable: its image must not stay in memory while we wait.
      return await submitCheck(
        await traceWork('read upload', () => readSubmission(req, res, isAwaited)),
      );
    } finally {
      res.locals.uploadPermit?.release();
    }
  }

  async function presentAccepted(res: Response, id: string, baseUrl: string): Promise<void> {
    const record = await queue.read(id);
    // Erased within the last millisecond.
    if (!record) throw new LivegateError('not_found');
    res.locals.outcome = record.status;
    res.status(202).set('Retry-After', String(RETRY_AFTER_SECONDS));
    res.json(presentJob(record, baseUrl));
  }
}
