import {
  type ImageLimits,
  type Leases,
  LivegateError,
  requireOpen,
  type Session,
  workOf,
} from '@livegate/core/domain';
import { traceWork } from '@livegate/core/telemetry';
import type { Request, RequestHandler, Response } from 'express';
import type { Admission } from '../admission/admission.js';
import type { SubmittedCheck } from '../checks/submit-check.js';
import { photoFields, readCaptureFacts } from '../contract/sessions.js';
import { baseUrlOf } from '../http/base-url.js';
import {
  createReadUpload,
  declaredBytes,
  inspectImage,
  uploadBytes,
} from '../http/upload/read-upload.js';
import type { UploadPermits } from '../http/upload/upload-permits.js';
import type { CheckPhoto } from './check-photo.js';
import { createPageLimits } from './limit-page.js';
import { createFindSession, type PageRoutesDeps, sendState } from './page-routes.js';

export interface TakePhotoOptions {
  limits: ImageLimits;
  /** How long the page waits for the end of the check. */
  waitLimitMs: number;
  publicUrl: string | undefined;
}

export interface TakePhotoDeps extends PageRoutesDeps {
  admission: Pick<Admission, 'admit'>;
  leases: Leases;
  uploads: UploadPermits;
  checkPhoto: CheckPhoto;
}

/** Checks a photo of the page and answers with the state of the session after it. */
export function takePhoto(options: TakePhotoOptions, deps: TakePhotoDeps): RequestHandler {
  const { sessions, rateLimiter, settleSession, now } = deps;
  const find = createFindSession(deps);
  const pageLimits = createPageLimits(rateLimiter);
  const submit = createSubmit(options, deps);

  return async (req, res) => {
    const session = await find(req);
    const { sid, tenant } = session;
    res.locals.tenant = tenant;
    requireOpen(session, now());
    await pageLimits.limitPhotos(sid);
    await rateLimiter.consume(tenant, session.tenantRatePerMinute);
    using check = await submit(req, res, session);
    const { id } = check;
    res.locals.isCheck = true;
    // Not aborted when the browser hangs up: the photo counts, and the page can read its result later.
    const wait = { waitMs: options.waitLimitMs, closed: new AbortController().signal };
    const outcome = await traceWork('await outcome', () => check.awaitOutcome(wait));
    const latest = outcome
      ? await settleSession({ id, tenant, sid, outcome })
      : await sessions.read(sid);
    if (!latest) throw new LivegateError('not_found');
    sendState(res, latest, now());
  };
}

/** Resolves to the check once it is queued; from then on, the request does not hold the image. */
function createSubmit({ limits, waitLimitMs, publicUrl }: TakePhotoOptions, deps: TakePhotoDeps) {
  const { admission, uploads, leases, checkPhoto } = deps;
  const readUpload = createReadUpload(limits, leases, photoFields);

  return async (req: Request, res: Response, session: Session): Promise<SubmittedCheck> => {
    if (req.is('json')) {
      const publicMessage = 'send multipart/form-data';
      throw new LivegateError('unsupported_media_type', { publicMessage });
    }
    // Both throw before the body is read.
    const { tenant } = session;
    using place = admission.admit({ tenant, waitMs: waitLimitMs, bytes: declaredBytes(req) });
    using permit = uploads.take(uploadBytes(req, limits), tenant);
    const { image, fields } = await traceWork('read upload', () => readUpload(req, res));
    const header = await inspectImage(image, limits.maxImagePixels);
    permit.shrinkTo(image.length);
    const check = await checkPhoto(session, {
      id: res.locals.requestId,
      image,
      takeRank: () => place.takeRank(workOf(header)),
      token: fields['token'] ?? '',
      facts: readCaptureFacts(fields),
      baseUrl: baseUrlOf(req, publicUrl),
    });
    place.queued();
    return check;
  };
}
