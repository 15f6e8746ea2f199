import {
  type CheckOutcome,
  LivegateError,
  type Quality,
  qualityPolicies,
  type QualityPolicy,
  strongestPolicy,
} from '@livegate/core/domain';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { qualitySchema } from './answer-schemas.js';

/** The name of the request header with the policy, and of the response header with the codes. */
const QUALITY_HEADER = 'Livegate-Quality';

/**
 * The stronger of the request's header and the credential's setting: a request cannot weaken what its
 * credential demands. Throws `invalid_quality_policy`, because a misspelt `enforce` that was ignored
 * would let weak images pass.
 */
export function readQualityPolicy(
  req: Request,
  ofCredential: QualityPolicy | undefined,
): QualityPolicy {
  const asked = req.get(QUALITY_HEADER)?.trim().toLowerCase();
  if (asked !== undefined && !isPolicy(asked)) throw new LivegateError('invalid_quality_policy');
  return strongestPolicy(asked, ofCredential);
}

function isPolicy(text: string): text is QualityPolicy {
  return (qualityPolicies as readonly string[]).includes(text);
}

/** Names the codes of a weak image in the response header, under every policy. */
export function setQualityHeader(res: Response, outcome: CheckOutcome | undefined): void {
  if (!outcome || 'error' in outcome) return;
  const codes = outcome.result.quality?.codes ?? [];
  if (codes.length > 0) res.set(QUALITY_HEADER, codes.join(', '));
}

/** `result.quality` of the body, which the policy `report` adds. */
export function presentQuality({ codes, face, measures }: Quality): z.output<typeof qualitySchema> {
  const { facePixels, ...others } = measures;
  return { codes, face, measures: { ...others, face_pixels: facePixels } };
}
