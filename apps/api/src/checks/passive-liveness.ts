import {
  type CheckRecord,
  type ImageLimits,
  type Leases,
  LivegateError,
  type QualityPolicy,
} from '@livegate/core/domain';
import type { CheckQueue } from '@livegate/core/ports';
import { traceWork } from '@livegate/core/telemetry';
import type { Request, RequestHandler, Response } from 'express';
import type { Admission } from '../admission/admission.js';
import {
  presentPreference,
  readPreference,
  readQualityPolicy,
  waitOf,
} from '../contract/preference.js';
import { jobUrl, presentCheck, presentJob, setQualityHeader } from '../contract/present-check.js';
import { RETRY_AFTER_SECONDS } from '../contract/present-error.js';
import { baseUrlOf } from '../http/base-url.js';
import { signalClose } from '../http/responses.js';
import { createReadUpload, inspectImage, uploadBytes } from '../http/upload/read-upload.js';
import type { UploadPermits } from '../http/upload/upload-permits.js';
import type { Webhooks } from '../webhooks/open-webhooks.js';
import type { Submission, SubmitCheck, SubmittedCheck } from './submit-check.js';

export interface PassiveLivenessOptions {
  limits: ImageLimits;
  waitLimitMs: number;
  publicUrl: string | undefined;
}

export interface PassiveLivenessDeps {
  admission: Pick<Admission, 'admit'>;
  leases: Leases;
  queue: CheckQueue;
  uploads: UploadPermits;
  submitCheck: SubmitCheck;
  webhooks: Pick<Webhooks, 'acceptUrl'>;
}

/** Answers one image with its verdict, or with a job if the caller prefers not to wait. */
export function checkPassiveLiveness(
  { limits, waitLimitMs, publicUrl }: PassiveLivenessOptions,
  { admission, leases, queue, uploads, submitCheck, webhooks }: PassiveLivenessDeps,
): RequestHandler {
  const readSubmission = createReadSubmission(limits, { publicUrl, leases, webhooks });

  return async (req, res) => {
    const preference = readPreference(req, waitLimitMs);
    const waitMs = waitOf(preference, waitLimitMs);
    const qualityPolicy = readQualityPolicy(req, res.locals.credential.quality);
    using check = await submit(req, res, { isAwaited: waitMs > 0, qualityPolicy });
    const { id } = check;
    const submittedAt = performance.now();
    // With an idempotency key, this may be the check of an earlier request.
    res.locals.requestId = id;
    res.set('Request-Id', id);
    const applied = presentPreference(preference);
    if (applied) res.set('Preference-Applied', applied);

    const closed = signalClose(res);
    const wait = { waitMs, closed };
    // A caller that does not wait gets a job, even if the check of its idempotency key has ended.
    const isJobAsked = preference.respondAsync && waitMs === 0;
    const outcome =
      !isJobAsked && (await traceWork('await outcome', () => check.awaitOutcome(wait)));
    if (outcome) return presentCheck(res, outcome, { qualityPolicy, submittedAt });
    if (closed.aborted && waitMs > 0) return check.abandon();
    const baseUrl = baseUrlOf(req, publicUrl);
    res.location(jobUrl(id, baseUrl));
    if (preference.respondAsync) {
      return presentAccepted(res, await queue.read(id), { baseUrl, qualityPolicy });
    }
    throw new LivegateError('timeout', { isCallersChoice: waitMs < waitLimitMs });
  };

  /** Throws `unavailable` or `overloaded` before the body is read. */
  async function submit(req: Request, res: Response, wanted: Wanted): Promise<SubmittedCheck> {
    using place = admission.admit(wanted);
    using permit = uploads.take(uploadBytes(req, limits), res.locals.credential.tenant);
    // Not kept past this function: the image must not stay in memory while the caller waits.
    const submission = await traceWork('read upload', () => readSubmission(req, res, wanted));
    permit.shrinkTo(submission.image.length);
    const submitted = await submitCheck(submission);
    place.queued();
    return submitted;
  }
}

/** 202 with the job. */
function presentAccepted(
  res: Response,
  record: CheckRecord | undefined,
  { baseUrl, qualityPolicy }: { baseUrl: string; qualityPolicy: QualityPolicy },
): void {
  // Deleted since it was submitted.
  if (!record) throw new LivegateError('canceled');
  const job = presentJob(record, baseUrl, qualityPolicy);
  res.locals.outcome = job.status;
  setQualityHeader(res, record.outcome);
  res.status(202).set('Retry-After', String(RETRY_AFTER_SECONDS));
  res.json(job);
}

/** What the headers of a request ask for. */
export type Wanted = Pick<Submission, 'isAwaited' | 'qualityPolicy'>;

export type ReadSubmission = (req: Request, res: Response, wanted: Wanted) => Promise<Submission>;

export interface ReadSubmissionDeps {
  publicUrl: string | undefined;
  leases: Leases;
  webhooks: Pick<Webhooks, 'acceptUrl'>;
}

/** Reads and validates everything that a request says about its check. */
export function createReadSubmission(
  limits: ImageLimits,
  { publicUrl, leases, webhooks }: ReadSubmissionDeps,
): ReadSubmission {
  const readUpload = createReadUpload(limits, leases);

  return async (req, res, wanted) => {
    const { requestId, credential } = res.locals;
    const idempotencyKey = readIdempotencyKey(req);
    const { image, fields } = await readUpload(req, res);
    const { webhook_url: webhookUrl } = fields;
    await inspectImage(image, limits.maxImagePixels);
    const acceptedUrl = webhookUrl && (await webhooks.acceptUrl(webhookUrl, credential));
    return {
      id: requestId,
      tenant: credential.tenant,
      image,
      ...wanted,
      baseUrl: baseUrlOf(req, publicUrl),
      ...(acceptedUrl && { webhookUrl: acceptedUrl }),
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    };
  };
}

/**
 * The caller's Idempotency-Key: quoted as in the IETF draft, or unquoted as most clients send it.
 * Throws `invalid_idempotency_key`.
 */
export function readIdempotencyKey(req: Request): string | undefined {
  const header = req.get('idempotency-key');
  if (header === undefined) return undefined;
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header;
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) throw new LivegateError('invalid_idempotency_key');
  return key;
}
