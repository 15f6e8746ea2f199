import { describe, expect, it } from 'vitest';
import { decideVerdict } from './verdict.js';

const cutPoints = { moderate: 0.4, high: 0.7 };
const scored = (spoofProbability: number) => ({ kind: 'scored' as const, spoofProbability });

describe('decideVerdict', () => {
  it.each([
    [0, 'LOW'],
    [0.39999, 'LOW'],
    [0.4, 'MODERATE'],
    [0.69999, 'MODERATE'],
    [0.7, 'HIGH'],
    [1, 'HIGH'],
  ])('a P(spoof) of %d is %s, and a success', (spoofProbability, status) => {
    expect(decideVerdict(scored(spoofProbability), cutPoints)).toEqual({
      status: 'success',
      result: { spoof_percentage: spoofProbability, status },
    });
  });

  it('gives at most 5 decimals', () => {
    const { result } = decideVerdict(scored(0.123456789), cutPoints);
    expect(result.spoof_percentage).toBe(0.12346);
  });

  it('classifies by the unrounded probability', () => {
    const { result } = decideVerdict(scored(0.6999999), cutPoints);
    expect(result).toEqual({ spoof_percentage: 0.7, status: 'MODERATE' });
  });

  it.each([
    ['no_face', 'face not detected'],
    ['too_many_faces', 'too many faces detected'],
  ] as const)('%s is a failed verdict with spoof_percentage 1', (kind, status) => {
    expect(decideVerdict({ kind }, cutPoints)).toEqual({
      status: 'failed',
      result: { spoof_percentage: 1, status },
    });
  });
});
