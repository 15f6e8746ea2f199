import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CutPoints, decideVerdict } from './verdict.js';

const cutPoints = { moderate: 0.4, high: 0.7 };
/** Often near a cut point or a step of the fifth decimal. */
const probability = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc
    .tuple(fc.integer({ min: 0, max: 1e5 }), fc.double({ min: -1e-5, max: 1e-5, noNaN: true }))
    .map(([steps, off]) => Math.min(Math.max(steps / 1e5 + off, 0), 1)),
);
const toCutPoints = ([a, b]: [number, number]) => ({
  moderate: Math.min(a, b),
  high: Math.max(a, b),
});
const scored = (spoofProbability: number) => ({ kind: 'scored' as const, spoofProbability });

function decideScored(spoofProbability: number, points: CutPoints) {
  const verdict = decideVerdict(scored(spoofProbability), points);
  if (verdict.kind !== 'scored') throw new Error(`expected a score, got ${verdict.kind}`);
  return verdict;
}

describe('decideVerdict', () => {
  it.each([
    [0, 'LOW'],
    [0.39999, 'LOW'],
    [0.4, 'MODERATE'],
    [0.69999, 'MODERATE'],
    [0.7, 'HIGH'],
    [1, 'HIGH'],
  ])('turns a P(spoof) of %d into the status %s', (spoofProbability, status) => {
    expect(decideVerdict(scored(spoofProbability), cutPoints)).toEqual({
      kind: 'scored',
      spoofProbability,
      status,
    });
  });

  it('rounds the score to 5 decimals', () => {
    expect(decideScored(0.123456789, cutPoints).spoofProbability).toBe(0.12346);
  });

  it('derives the status from the rounded score that it shows', () => {
    const cuts = fc.tuple(probability, probability).map(toCutPoints);
    fc.assert(
      fc.property(cuts, probability, (points, spoofProbability) => {
        const { spoofProbability: shown, status } = decideScored(spoofProbability, points);
        const due = shown >= points.high ? 'HIGH' : shown >= points.moderate ? 'MODERATE' : 'LOW';
        expect(status).toBe(due);
        expect(Math.abs(shown - spoofProbability)).toBeLessThanOrEqual(0.50001e-5);
      }),
      {
        examples: [
          [cutPoints, 0.399996],
          [cutPoints, 0.6999999],
          [cutPoints, 0.3999949],
        ],
      },
    );
  });

  it.each([NaN, Infinity, -Infinity, -1e-9, 1 + 1e-9])(
    'a P(spoof) of %d is a fault of ours and no verdict',
    (spoofProbability) => {
      const detail = `P(spoof) is ${spoofProbability}`;
      const fault = expect.objectContaining({ code: 'internal_error', detail });
      expect(() => decideVerdict(scored(spoofProbability), cutPoints)).toThrow(fault);
    },
  );

  it('gives HIGH when a cut point is NaN', () => {
    expect(decideScored(0.1, { moderate: NaN, high: NaN }).status).toBe('HIGH');
  });

  it.each(['no_face', 'too_many_faces'] as const)('keeps %s, without a score', (kind) => {
    expect(decideVerdict({ kind }, cutPoints)).toEqual({ kind });
  });
});
