import {
  type CheckRecord,
  type ImageLimits,
  type Leases,
  LivegateError,
  type QualityPolicy,
  workOf,
} from '@livegate/core/domain';
import type { CheckQueue } from '@livegate/core/ports';
import { traceWork } from '@livegate/core/telemetry';
import type { Request, RequestHandler, Response } from 'express';
import type { Admission } from '../admission/admission.js';
import {
  presentPreference,
  readIdempotencyKey,
  readPreference,
  readQualityPolicy,
  waitOf,
} from '../contract/preference.js';
import { jobUrl, presentCheck, presentJob, setQualityHeader } from '../contract/present-check.js';
import { RETRY_AFTER_SECONDS } from '../contract/present-error.js';
import { baseUrlOf } from '../http/base-url.js';
import { signalClose } from '../http/responses.js';
import {
  createReadUpload,
  declaredBytes,
  inspectImage,
  uploadBytes,
} from '../http/upload/read-upload.js';
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
  options: PassiveLivenessOptions,
  deps: PassiveLivenessDeps,
): RequestHandler {
  const { waitLimitMs, publicUrl } = options;
  const submit = createSubmit(options, deps);

  return async (req, res) => {
    const preference = readPreference(req, waitLimitMs);
    const waitMs = waitOf(preference, waitLimitMs);
    const qualityPolicy = readQualityPolicy(req, res.locals.credential.quality);
    const mayBeAsync = preference.respondAsync;
    using check = await submit(req, res, { waitMs, mayBeAsync, qualityPolicy });
    const { id } = check;
    const submittedAt = performance.now();
    // With an idempotency key, this may be the check of an earlier request.
    res.locals.requestId = id;
    res.locals.isCheck = true;
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
    // If this fails, no Location is sent: the check might be canceled if this gateway died.
    if (waitMs > 0) await check.defer(mayBeAsync);
    const baseUrl = baseUrlOf(req, publicUrl);
    res.location(jobUrl(id, baseUrl));
    if (preference.respondAsync) {
      return presentAccepted(res, await deps.queue.read(id), { baseUrl, qualityPolicy });
    }
    throw new LivegateError('timeout', { isCallersChoice: waitMs < waitLimitMs });
  };
}

/** Queues the check of a request. Throws `unavailable` or `overloaded` before the body is read. */
function createSubmit({ limits, publicUrl }: PassiveLivenessOptions, deps: PassiveLivenessDeps) {
  const { admission, uploads, leases, webhooks, submitCheck } = deps;
  const readSubmission = createReadSubmission(limits, { publicUrl, leases, webhooks });

  return async (req: Request, res: Response, wanted: Wanted): Promise<SubmittedCheck> => {
    const { waitMs, qualityPolicy } = wanted;
    const { tenant } = res.locals.credential;
    using place = admission.admit({ ...wanted, tenant, bytes: declaredBytes(req) });
    using permit = uploads.take(uploadBytes(req, limits), tenant);
    // Not kept past this function: the image must not stay in memory while the caller waits.
    const { work, ...read } = await traceWork('read upload', () => readSubmission(req, res));
    permit.shrinkTo(read.image.length);
    const takeRank = () => place.takeRank(work);
    const isAwaited = waitMs > 0;
    const submitted = await submitCheck({ ...read, isAwaited, qualityPolicy, takeRank });
    place.queued();
    return submitted;
  };
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
export interface Wanted {
  waitMs: number;
  mayBeAsync: boolean;
  qualityPolicy: QualityPolicy;
}

/** What the body and the other headers of a request say. */
export interface ReadSubmitted extends Omit<
  Submission,
  'isAwaited' | 'qualityPolicy' | 'takeRank'
> {
  /** The work of its check. */
  work: number;
}

export type ReadSubmission = (req: Request, res: Response) => Promise<ReadSubmitted>;

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

  return async (req, res) => {
    const { requestId, credential } = res.locals;
    const idempotencyKey = readIdempotencyKey(req);
    const { image, fields } = await readUpload(req, res);
    const { webhook_url: webhookUrl } = fields;
    const header = await inspectImage(image, limits.maxImagePixels);
    const acceptedUrl = webhookUrl && (await webhooks.acceptUrl(webhookUrl, credential));
    return {
      id: requestId,
      tenant: credential.tenant,
      image,
      work: workOf(header),
      baseUrl: baseUrlOf(req, publicUrl),
      ...(acceptedUrl && { webhookUrl: acceptedUrl }),
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    };
  };
}
