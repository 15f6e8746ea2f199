import { LivegateError, type CheckQueue, type ImageLimits } from '@livegate/core';
import type { Request, RequestHandler, Response } from 'express';
import { baseUrlOf } from '../base-url.js';
import { inspectImage } from '../inspect-image.js';
import { presentCheck } from '../present-check.js';
import { RETRY_AFTER_SECONDS } from '../present-error.js';
import { jobUrl, presentJob } from '../present-job.js';
import { readIdempotencyKey } from '../read-idempotency-key.js';
import { presentPreference, readPreference } from '../read-preference.js';
import type { Submission, SubmitCheck } from '../submit-check.js';
import { createReadUpload } from '../upload.js';
import type { Webhooks } from '../webhooks/open-webhooks.js';

export interface PassiveLivenessOptions {
  limits: ImageLimits;
  waitLimitMs: number;
  publicUrl: string | undefined;
}

export interface PassiveLivenessDeps {
  queue: CheckQueue;
  submitCheck: SubmitCheck;
  webhooks: Pick<Webhooks, 'acceptUrl'>;
}

/** One selfie in, one verdict out; or, for a caller who prefers not to wait, one job. */
export function checkPassiveLiveness(
  { limits, waitLimitMs, publicUrl }: PassiveLivenessOptions,
  { queue, submitCheck, webhooks }: PassiveLivenessDeps,
): RequestHandler {
  const readUpload = createReadUpload(limits);

  return async (req, res) => {
    const preference = readPreference(req, waitLimitMs);
    const waitMs = preference.waitMs ?? (preference.respondAsync ? 0 : waitLimitMs);
    // The submission is kept in no variable: its image must not stay in memory while we wait.
    const { id, awaitOutcome } = await submitCheck(await readSubmission(req, res, waitMs > 0));
    const submittedAt = performance.now();
    res.locals.place.queued();
    // What can be looked up is the check, which an idempotency key may have begun before.
    res.locals.requestId = id;
    res.set('Request-Id', id);
    const applied = presentPreference(preference);
    if (applied) res.set('Preference-Applied', applied);

    const outcome = await awaitOutcome(waitMs);
    if (outcome) return presentCheck(res, outcome, submittedAt);
    const baseUrl = baseUrlOf(req, publicUrl);
    res.location(jobUrl(id, baseUrl));
    if (preference.respondAsync) return presentAccepted(res, id, baseUrl);
    throw new LivegateError('timeout');
  };

  async function readSubmission(
    req: Request,
    res: Response,
    isAwaited: boolean,
  ): Promise<Submission> {
    const { requestId, credential } = res.locals;
    const idempotencyKey = readIdempotencyKey(req);
    const { image, webhookUrl } = await readUpload(req, res);
    await inspectImage(image, limits.maxImagePixels);
    const acceptedUrl = webhookUrl && (await webhooks.acceptUrl(webhookUrl, credential));
    return {
      id: requestId,
      tenant: credential.tenant,
      image,
      isAwaited,
      ...(acceptedUrl && { webhookUrl: acceptedUrl }),
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    };
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
