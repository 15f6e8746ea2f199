import type { CheckOutcome, CheckResult } from '../../domain/check.js';
import type { FaceCountFailure, SpoofStatus, Verdict } from '../../domain/verdict.js';

/**
 * The result of a check as Redis stores it, in jobs and reply streams. Version 1 of the schema
 * stores a verdict in the form of the GLAIR body, and gateways of all versions read it.
 */
export interface StoredResult extends Omit<CheckResult, 'verdict'> {
  verdict: StoredVerdict;
}

type StoredVerdict =
  | { status: 'success'; result: { spoof_percentage: number; status: SpoofStatus } }
  | { status: 'failed'; result: { spoof_percentage: 1; status: FaceCountMessage } };

const faceCountMessages = {
  no_face: 'face not detected',
  too_many_faces: 'too many faces detected',
} as const satisfies Record<FaceCountFailure, string>;

type FaceCountMessage = (typeof faceCountMessages)[FaceCountFailure];

export function writeResult(result: CheckResult): StoredResult {
  return { ...result, verdict: writeVerdict(result.verdict) };
}

export function readResult(stored: StoredResult): CheckResult {
  return { ...stored, verdict: readVerdict(stored.verdict) };
}

export function writeOutcome(outcome: CheckOutcome): string {
  return JSON.stringify('error' in outcome ? outcome : { result: writeResult(outcome.result) });
}

/** Throws a SyntaxError for text that is not JSON. */
export function readOutcome(text: string): CheckOutcome {
  const stored = JSON.parse(text) as
    { result: StoredResult } | Exclude<CheckOutcome, { result: unknown }>;
  return 'error' in stored ? stored : { result: readResult(stored.result) };
}

function writeVerdict(verdict: Verdict): StoredVerdict {
  if (verdict.kind === 'scored') {
    const { spoofProbability, status } = verdict;
    return { status: 'success', result: { spoof_percentage: spoofProbability, status } };
  }
  return {
    status: 'failed',
    result: { spoof_percentage: 1, status: faceCountMessages[verdict.kind] },
  };
}

function readVerdict({ status, result }: StoredVerdict): Verdict {
  if (status === 'success') {
    return { kind: 'scored', spoofProbability: result.spoof_percentage, status: result.status };
  }
  return { kind: result.status === faceCountMessages.no_face ? 'no_face' : 'too_many_faces' };
}
