import { LivegateError, type ImageLimits } from '@livegate/core';
import type { RequestHandler } from 'express';
import { inspectImage } from '../inspect-image.js';
import { presentCheck } from '../present-check.js';
import type { SubmitCheck } from '../submit-check.js';
import { createReadUpload } from '../upload.js';

export interface PassiveLivenessOptions {
  limits: ImageLimits;
  waitLimitMs: number;
  /** Where callers reach this service, for the `Location` of a check; else the request's host. */
  publicUrl: string | undefined;
  submitCheck: SubmitCheck;
}

/** One selfie in, one verdict out. */
export function checkPassiveLiveness(options: PassiveLivenessOptions): RequestHandler {
  const { limits, waitLimitMs, publicUrl, submitCheck } = options;
  const readUpload = createReadUpload(limits);

  return async (req, res) => {
    const { requestId, receivedAt, credential } = res.locals;
    const image = await readUpload(req, res);
    const uploadedAt = performance.now();

    await inspectImage(image, limits.maxImagePixels);
    const submission = { id: requestId, tenant: credential.tenant, image };
    const outcome = await submitCheck(submission, waitLimitMs);
    if (!outcome) {
      res.location(`${publicUrl ?? `${req.protocol}://${req.host}`}/v1/jobs/${requestId}`);
      throw new LivegateError('timeout');
    }

    const now = performance.now();
    presentCheck(res, outcome, {
      uploadMs: uploadedAt - receivedAt,
      waitMs: now - uploadedAt,
      totalMs: now - receivedAt,
    });
  };
}
