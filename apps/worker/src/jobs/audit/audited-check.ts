import { createHash, randomBytes } from 'node:crypto';
import {
  type CutPoints,
  decideVerdict,
  type ErrorCode,
  type FaceCountFailure,
  type LivegateError,
  type ModelFacts,
  type Quality,
  type QualityMeasures,
  roundMs,
  type ScoredFace,
  type SpoofStatus,
} from '@livegate/core/domain';
import { z } from 'zod';
import type { AssessedImage } from '../../inference/pipeline.js';

/**
 * What an audit keeps of one check: enough to compute the verdict again from the same image, and no
 * image, file name, credential or header. docs/reference/audit-records.md explains each field.
 */
export interface AuditedCheck extends AuditConstants {
  kind: 'check';
  /** Random, so that nobody finds a redacted payload by hashing guesses. */
  salt: string;
  /** When the record was made; ISO 8601, UTC. */
  time: string;
  /** The `Request-Id` of the answer. */
  id: string;
  tenant: string;
  /** Null when the image had expired. */
  image: { sha256: string; bytes: number } | null;
  outcome: AuditedOutcome;
  /** Milliseconds; absent without an assessment. */
  timings?: { decode_ms: number; detect_ms: number; classify_ms: number; worker_ms: number };
  /** Records that could not be written before this one; absent for none. */
  lost_before?: number;
}

/** What is the same for all checks of one model set. */
export interface AuditConstants {
  /** Of Livegate. */
  version: string;
  models: ModelFacts[];
  cut_points: CutPoints;
  settings: AuditedSettings;
}

/** The settings that may change a verdict. */
export interface AuditedSettings {
  /** Of the model catalogue; absent in records of earlier versions. */
  profile?: string;
  /** Short hash of the calibration's constants; absent without one. */
  calibration?: string;
  execution_provider: string;
  face_score_threshold: number;
  min_face_ratio: number;
  max_image_pixels: number;
}

export type AuditedOutcome =
  | (ScoreDetails & {
      kind: 'scored';
      status: SpoofStatus;
      /** As the caller sees it: 5 decimals. */
      spoof_percentage: number;
      /** Before the rounding. */
      spoof_probability: number;
    })
  | { kind: FaceCountFailure }
  | { kind: 'refused'; error: ErrorCode; message: string };

/** What else the models found: the logit of each view, and more. */
type ScoreDetails = Omit<ScoredFace, 'kind' | 'spoofProbability' | 'quality'> & {
  /** Without the face box, which no record has. */
  quality: Pick<Quality, 'codes'> & { measures: AuditedMeasures };
};

type AuditedMeasures = Omit<QualityMeasures, 'facePixels'> & { face_pixels: number };

/** The form of a record, as far as a replay reads it. Later versions may add fields. */
export const auditedCheckSchema = z.looseObject({
  kind: z.literal('check'),
  id: z.string(),
  image: z.looseObject({ sha256: z.string() }).nullable(),
  outcome: z.discriminatedUnion('kind', [
    z.looseObject({
      kind: z.literal('scored'),
      status: z.enum(['LOW', 'MODERATE', 'HIGH']),
      spoof_percentage: z.number(),
      spoof_probability: z.number(),
    }),
    z.looseObject({ kind: z.enum(['no_face', 'too_many_faces']) }),
    z.looseObject({ kind: z.literal('refused'), error: z.string() }),
  ]),
  models: z.array(z.looseObject({ name: z.string(), version: z.string(), sha256: z.string() })),
  cut_points: z.looseObject({ moderate: z.number(), high: z.number() }),
  settings: z.looseObject({
    profile: z.string().optional(),
    calibration: z.string().optional(),
    face_score_threshold: z.number(),
    min_face_ratio: z.number(),
    max_image_pixels: z.number(),
  }),
});

/** A check as its record needs it. */
export interface EndingCheck {
  id: string;
  tenant: string;
  /** `performance.now()` when a worker took it. */
  takenAt: number;
  image?: Uint8Array | undefined;
  end: AssessedImage | LivegateError;
}

export function describeCheck(
  { id, tenant, takenAt, image, end }: EndingCheck,
  constants: AuditConstants,
): AuditedCheck {
  return {
    kind: 'check',
    salt: randomBytes(16).toString('hex'),
    time: new Date().toISOString(),
    id,
    tenant,
    image: image ? { sha256: hashImage(image), bytes: image.byteLength } : null,
    outcome: describeOutcome(end, constants.cut_points),
    ...('timings' in end && { timings: describeTimings(end.timings, takenAt) }),
    ...constants,
  };
}

export function hashImage(image: Uint8Array): string {
  return createHash('sha256').update(image).digest('hex');
}

/** Throws as `decideVerdict` does. */
export function describeOutcome(
  end: AssessedImage | LivegateError,
  cutPoints: CutPoints,
): AuditedOutcome {
  if (!('assessment' in end)) {
    return { kind: 'refused', error: end.code, message: end.publicMessage };
  }
  const verdict = decideVerdict(end.assessment, cutPoints);
  if (verdict.kind !== 'scored') return { kind: verdict.kind };
  const { kind, spoofProbability, quality, ...details } = end.assessment as ScoredFace;
  const { facePixels, ...measures } = quality.measures;
  return {
    kind,
    status: verdict.status,
    spoof_percentage: verdict.spoofProbability,
    spoof_probability: spoofProbability,
    quality: { codes: quality.codes, measures: { ...measures, face_pixels: facePixels } },
    ...details,
  };
}

function describeTimings(timings: AssessedImage['timings'], takenAt: number) {
  return {
    decode_ms: roundMs(timings.decodeMs),
    detect_ms: roundMs(timings.detectMs),
    classify_ms: roundMs(timings.classifyMs),
    worker_ms: roundMs(performance.now() - takenAt),
  };
}
