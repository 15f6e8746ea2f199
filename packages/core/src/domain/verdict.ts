import { LivegateError } from './errors.js';

/** The models' findings about one image. */
export type Assessment =
  | {
      kind: 'scored';
      /** 0..1; a higher value means a more likely spoof. Not calibrated. */
      spoofProbability: number;
    }
  | { kind: 'no_face' }
  | { kind: 'too_many_faces' };

/** The P(spoof) from which a verdict is MODERATE or HIGH; 0 <= moderate <= high <= 1. */
export interface CutPoints {
  moderate: number;
  high: number;
}

/** How likely the face is a spoof, by the configured cut points. */
export type SpoofStatus = 'LOW' | 'MODERATE' | 'HIGH';
/** Why an image was not scored. */
export type FaceCountStatus = 'face not detected' | 'too many faces detected';

/** The answer to one check, word for word as the caller receives it. */
export type Verdict =
  | { status: 'success'; result: { spoof_percentage: number; status: SpoofStatus } }
  | { status: 'failed'; result: { spoof_percentage: 1; status: FaceCountStatus } };

/**
 * Turns an assessment into the verdict. HIGH is still a "success", because a face was scored.
 * Throws `internal_error` for a P(spoof) outside 0..1 or NaN: such a score must never become LOW.
 */
export function decideVerdict(assessment: Assessment, cutPoints: CutPoints): Verdict {
  switch (assessment.kind) {
    case 'no_face':
      return { status: 'failed', result: { spoof_percentage: 1, status: 'face not detected' } };
    case 'too_many_faces':
      return {
        status: 'failed',
        result: { spoof_percentage: 1, status: 'too many faces detected' },
      };
    case 'scored':
      return decideScored(assessment.spoofProbability, cutPoints);
  }
}

function decideScored(spoofProbability: number, cutPoints: CutPoints): Verdict {
  if (!isProbability(spoofProbability)) {
    throw new LivegateError('internal_error', { detail: `P(spoof) is ${spoofProbability}` });
  }
  // Round before classifying, so that the status follows from the number that the caller sees.
  const shown = roundTo5Decimals(spoofProbability);
  const status = classifySpoof(shown, cutPoints);
  return { status: 'success', result: { spoof_percentage: shown, status } };
}

/** Between 0 and 1. False for NaN. */
export function isProbability(value: number): boolean {
  return value >= 0 && value <= 1;
}

/** The comparisons are ordered so that a cut point of NaN gives HIGH. */
function classifySpoof(shown: number, cutPoints: CutPoints): SpoofStatus {
  if (shown < cutPoints.moderate) return 'LOW';
  if (shown < cutPoints.high) return 'MODERATE';
  return 'HIGH';
}

function roundTo5Decimals(probability: number): number {
  return Math.round(probability * 1e5) / 1e5;
}
