import { LivegateError } from './errors.js';
import type { Quality } from './quality.js';

/** The models' findings about one image. */
export type Assessment = ScoredFace | { kind: FaceCountFailure };

export interface ScoredFace extends Score {
  /** log(P(spoof) / P(live)) of all views and models together, before the calibration. */
  logit: number;
  /** What the score was made of. */
  views: ViewScore[];
  rotation: Rotation;
  /** Of the picture of the face. */
  quality: Quality;
}

/** All that a verdict depends on. */
interface Score {
  kind: 'scored';
  /** 0..1; a higher value means a more likely spoof. A probability only with a calibration. */
  spoofProbability: number;
}

/** What one classifier said about one crop of the face. */
export interface ViewScore {
  /** name/version */
  model: string;
  /** Scale and fill of the crop, as in "2.0 reflect". */
  view: string;
  /** log(P(spoof) / P(live)), before any calibration. */
  logit: number;
}

/** Degrees clockwise by which a picture was turned before it was scored; 0 for most. */
export type Rotation = 0 | 90 | 180 | 270;

/** The P(spoof) from which a verdict is MODERATE or HIGH; 0 <= moderate <= high <= 1. */
export interface CutPoints {
  moderate: number;
  high: number;
}

/** How likely the face is a spoof, by the configured cut points. */
export type SpoofStatus = 'LOW' | 'MODERATE' | 'HIGH';
/** The answer to one check: the class of its score, or why the image has none. */
export type Verdict =
  | {
      kind: 'scored';
      /** 0..1, rounded to 5 decimals. */
      spoofProbability: number;
      status: SpoofStatus;
    }
  | { kind: FaceCountFailure };

/** Why an image was not scored. */
export type FaceCountFailure = 'no_face' | 'too_many_faces';

/**
 * Turns an assessment into the verdict. Throws `internal_error` for a P(spoof) outside 0..1 or NaN:
 * such a score must never become LOW.
 */
export function decideVerdict(
  assessment: Score | { kind: FaceCountFailure },
  cutPoints: CutPoints,
): Verdict {
  if (assessment.kind !== 'scored') return { kind: assessment.kind };
  if (!isProbability(assessment.spoofProbability)) {
    const detail = `P(spoof) is ${assessment.spoofProbability}`;
    throw new LivegateError('internal_error', { detail });
  }
  // Round before the cut, so that the status follows from the number that the caller sees.
  const spoofProbability = roundTo5Decimals(assessment.spoofProbability);
  return { kind: 'scored', spoofProbability, status: statusOfScore(spoofProbability, cutPoints) };
}

/** Between 0 and 1. False for NaN. */
export function isProbability(value: number): boolean {
  return value >= 0 && value <= 1;
}

/** The comparisons are ordered so that a cut point of NaN gives HIGH. */
function statusOfScore(score: number, cutPoints: CutPoints): SpoofStatus {
  if (score < cutPoints.moderate) return 'LOW';
  if (score < cutPoints.high) return 'MODERATE';
  return 'HIGH';
}

function roundTo5Decimals(probability: number): number {
  return Math.round(probability * 1e5) / 1e5;
}
