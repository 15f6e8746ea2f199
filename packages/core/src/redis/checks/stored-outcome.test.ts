import { describe, expect, it } from 'vitest';
import type { CheckResult } from '../../domain/check.js';
import { readOutcome, readResult, writeOutcome, writeResult } from './stored-outcome.js';

const circumstances = {
  model: 'fr-detect/0.0.1+01234567',
  timings: { decodeMs: 6.5, detectMs: 3.8, classifyMs: 22, workerMs: 33 },
};

/** Each verdict with its stored form of schema version 1, which gateways of all versions read. */
const stored = [
  [
    { kind: 'scored', spoofProbability: 0.02611, status: 'LOW' },
    { status: 'success', result: { spoof_percentage: 0.02611, status: 'LOW' } },
  ],
  [
    { kind: 'scored', spoofProbability: 1, status: 'HIGH' },
    { status: 'success', result: { spoof_percentage: 1, status: 'HIGH' } },
  ],
  [
    { kind: 'no_face' },
    { status: 'failed', result: { spoof_percentage: 1, status: 'face not detected' } },
  ],
  [
    { kind: 'too_many_faces' },
    { status: 'failed', result: { spoof_percentage: 1, status: 'too many faces detected' } },
  ],
] as const;

describe('a stored result', () => {
  it.each(stored)('%j has the form of schema version 1', (verdict, form) => {
    const result: CheckResult = { verdict, ...circumstances };
    expect(writeResult(result)).toEqual({ verdict: form, ...circumstances });
  });

  it.each(stored)('%j is read as it was written', (verdict) => {
    const result: CheckResult = { verdict, ...circumstances };
    expect(readResult(writeResult(result))).toEqual(result);
    expect(readOutcome(writeOutcome({ result }))).toEqual({ result });
  });
});

it('a stored refusal keeps its error and its message', () => {
  const refusal = { error: 'invalid_image', message: 'the JPEG is truncated' } as const;
  expect(readOutcome(writeOutcome(refusal))).toEqual(refusal);
});

it('readOutcome throws for text that is not JSON', () => {
  expect(() => readOutcome('{')).toThrow(SyntaxError);
});
