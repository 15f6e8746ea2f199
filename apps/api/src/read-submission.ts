import type { ImageLimits, Leases } from '@livegate/core';
import type { Request, Response } from 'express';
import { baseUrlOf } from './base-url.js';
import { inspectImage } from './inspect-image.js';
import { readIdempotencyKey } from './read-idempotency-key.js';
import type { Submission } from './submit-check.js';
import { createReadUpload } from './upload.js';
import type { Webhooks } from './webhooks/open-webhooks.js';

export type ReadSubmission = (
  req: Request,
  res: Response,
  isAwaited: boolean,
) => Promise<Submission>;

export interface ReadSubmissionDeps {
  publicUrl: string | undefined;
  leases: Leases;
  webhooks: Pick<Webhooks, 'acceptUrl'>;
}

/** Everything a request says about its check, read and found acceptable. */
export function createReadSubmission(
  limits: ImageLimits,
  { publicUrl, leases, webhooks }: ReadSubmissionDeps,
): ReadSubmission {
  const readUpload = createReadUpload(limits, leases);

  return async (req, res, isAwaited) => {
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
      baseUrl: baseUrlOf(req, publicUrl),
      ...(acceptedUrl && { webhookUrl: acceptedUrl }),
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    };
  };
}
