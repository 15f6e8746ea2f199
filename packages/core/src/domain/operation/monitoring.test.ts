import { describe, expect, it } from 'vitest';
import type { CheckResult } from '../check.js';
import type { Quality } from '../quality.js';
import { createTallies, MIN_GROUP, scoreBinOf } from './monitoring.js';

const result = (spoofProbability: number, status: 'LOW' | 'HIGH' = 'LOW'): CheckResult => ({
  verdict: { kind: 'scored', spoofProbability, status },
  model: 'a/1+01234567',
  timings: { decodeMs: 1, detectMs: 1, classifyMs: 1, workerMs: 3 },
});

describe('tallies', () => {
  it('hold back the counts of a tenant until a group of ten is complete', () => {
    const tallies = createTallies();
    for (let n = 1; n < MIN_GROUP; n += 1) tallies.count('acme', result(0.02));
    tallies.count('other', result(0.02));
    expect(tallies.take()).toEqual([]);
    tallies.count('acme', result(0.999, 'HIGH'));
    const counts = { LOW: 9, 'score 2': 9, HIGH: 1, 'score 9': 1 };
    expect(tallies.take()).toEqual([{ tenant: 'acme', counts }]);
    expect(tallies.take()).toEqual([]);
  });

  it('contain no score, only bins of scores', () => {
    const tallies = createTallies();
    for (let n = 0; n < MIN_GROUP; n += 1) tallies.count('acme', result(0.13579));
    expect(JSON.stringify(tallies.take())).not.toContain('13579');
  });

  it('count the weaknesses of pictures, and pictures without a score', () => {
    const tallies = createTallies();
    const quality = { codes: ['image_too_dark', 'face_turned'] } as unknown as Quality;
    for (let n = 0; n < MIN_GROUP; n += 1) {
      tallies.count('acme', { ...result(0.02), verdict: { kind: 'no_face' }, quality });
      tallies.count('acme', { ...result(0.02), quality });
    }
    const weak = { 'quality image_too_dark': 20, 'quality face_turned': 20 };
    const counts = { no_face: 10, LOW: 10, 'score 2': 10, ...weak };
    expect(tallies.take()).toEqual([{ tenant: 'acme', counts }]);
  });

  it('return groups again that could not be published', () => {
    const tallies = createTallies();
    for (let n = 0; n < MIN_GROUP; n += 1) tallies.count('acme', result(0.02));
    tallies.restore(tallies.take());
    tallies.count('acme', result(0.02));
    expect(tallies.take()).toEqual([{ tenant: 'acme', counts: { LOW: 11, 'score 2': 11 } }]);
  });
});

it('bins scores from the lower bound on', () => {
  expect([0, 0.000_99, 0.001, 0.5, 0.989, 0.99, 1].map(scoreBinOf)).toEqual([0, 0, 1, 6, 8, 9, 9]);
});
