import { LivegateError } from './errors.js';

/** What the models saw in one image. */
export type Assessment =
  | {
      kind: 'scored';
      /** 0..1, the higher the more likely; not calibrated. */ spoofProbability: number;
    }
  | { kind: 'no_face' }
  | { kind: 'too_many_faces' };

/** P(spoof) from which an image is MODERATE, and from which it is HIGH; 0 <= moderate <= high <= 1. */
export interface CutPoints {
  moderate: number;
  high: number;
}

/** How likely a spoof is, by the configured cut points. */
export type SpoofStatus = 'LOW' | 'MODERATE' | 'HIGH';
/** Why an image was not scored. */
export type FaceCountStatus = 'face not detected' | 'too many faces detected';

/** The answer to one check, word for word as the caller receives it. */
export type Verdict =
  | { status: 'success'; result: { spoof_percentage: number; status: SpoofStatus } }
  | { status: 'failed'; result: { spoof_percentage: 1; status: FaceCountStatus } };

/**
 * Turns what was seen into the answer. HIGH is still a "success": a face was scored. Throws
 * `internal_error` for a P(spoof) that is not a probability: such a score must never pass for LOW.
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
  // Rounded before it is classified: the class must follow from the number that the caller sees.
  const shown = roundTo5Decimals(spoofProbability);
  const status = classifySpoof(shown, cutPoints);
  return { status: 'success', result: { spoof_percentage: shown, status } };
}

/** Between 0 and 1. False for NaN. */
export function isProbability(value: number): boolean {
  return value >= 0 && value <= 1;
}

/** Written so that a cut point which is not a number gives HIGH. */
function classifySpoof(shown: number, cutPoints: CutPoints): SpoofStatus {
  if (shown < cutPoints.moderate) return 'LOW';
  if (shown < cutPoints.high) return 'MODERATE';
  return 'HIGH';
}

function roundTo5Decimals(probability: number): number {
  return Math.round(probability * 1e5) / 1e5;
}
