import { describe, expect, it } from 'vitest';
import { type CheckOutcome, type CheckRecord, enforceQuality, enforceQualityOf } from './check.js';
import { errorMessages } from './errors.js';
import {
  judgeQuality,
  type Quality,
  type QualityCode,
  qualityCodes,
  qualityHints,
  qualityLimits as limits,
  type QualityMeasures,
  strongestPolicy,
} from './quality.js';

/** Exactly at every limit, which is still good. */
const atLimits: QualityMeasures = {
  inside: limits.minInside,
  margin: limits.minMargin,
  facePixels: limits.minFacePixels,
  offset: limits.maxOffset,
  lightest: limits.minLightest,
  white: limits.maxWhite,
  blur: limits.maxBlur,
  turn: limits.maxTurn,
  rotation: 0,
};

/** Beyond each limit by little. */
const beyond: [QualityCode, Partial<QualityMeasures>][] = [
  ['face_too_close', { inside: limits.minInside - 0.001 }],
  ['face_cropped', { margin: limits.minMargin - 0.001 }],
  ['face_too_small', { facePixels: limits.minFacePixels - 1 }],
  ['image_rotated', { rotation: 270 }],
  ['face_turned', { turn: limits.maxTurn + 0.001 }],
  ['image_too_dark', { lightest: limits.minLightest - 1 }],
  ['image_too_bright', { white: limits.maxWhite + 0.001 }],
  ['image_too_blurry', { blur: limits.maxBlur + 0.0001 }],
  ['face_off_center', { offset: limits.maxOffset + 0.001 }],
];

describe('judgeQuality', () => {
  it('names nothing for a picture exactly at every limit', () => {
    expect(judgeQuality(atLimits)).toEqual([]);
  });

  it.each(beyond)('names %s beyond its limit, and nothing else', (code, measures) => {
    expect(judgeQuality({ ...atLimits, ...measures })).toEqual([code]);
  });

  it('can name every code, in the order of the hints, but no blur of a small face', () => {
    const all = Object.assign({}, atLimits, ...beyond.map(([, measures]) => measures));
    expect(beyond.map(([code]) => code)).toEqual(qualityCodes);
    expect(judgeQuality(all)).toEqual(qualityCodes.filter((code) => code !== 'image_too_blurry'));
  });
});

it('the hint of every code is its error message', () => {
  expect(errorMessages).toMatchObject(qualityHints);
});

it('strongestPolicy prefers enforce to report, and report to header, which is the default', () => {
  expect(strongestPolicy()).toBe('header');
  expect(strongestPolicy(undefined, 'header')).toBe('header');
  expect(strongestPolicy('report', 'header')).toBe('report');
  expect(strongestPolicy('report', 'enforce', undefined)).toBe('enforce');
});

describe('enforceQuality', () => {
  const outcomeWith = (quality?: Quality): CheckOutcome => ({
    result: {
      verdict: { kind: 'scored', spoofProbability: 0.1, status: 'LOW' },
      model: 'm/1+0',
      timings: { decodeMs: 1, detectMs: 1, classifyMs: 1, workerMs: 3 },
      ...(quality && { quality }),
    },
  });
  const face = { left: 0, top: 0, width: 1, height: 1 };
  const quality = { codes: [], face, measures: atLimits };
  const weak = outcomeWith({ ...quality, codes: ['image_too_dark', 'image_too_blurry'] });
  const record: CheckRecord = { id: 'a', tenant: 'acme', status: 'succeeded', createdAt: 1 };

  it('refuses a weak image with its first code', () => {
    expect(enforceQuality(weak, 'enforce')).toEqual({ error: 'image_too_dark' });
    expect(enforceQualityOf({ ...record, outcome: weak }, 'enforce')).toEqual({
      ...record,
      status: 'failed',
      outcome: { error: 'image_too_dark' },
    });
  });

  it.each([
    ['a weak image under report', weak, 'report'],
    ['a weak image under header', weak, 'header'],
    ['a good image', outcomeWith(quality), 'enforce'],
    ['a result without quality', outcomeWith(), 'enforce'],
    ['an error', { error: 'invalid_image' }, 'enforce'],
  ] as const)('leaves an outcome as it is: %s', (_name, outcome, policy) => {
    expect(enforceQuality(outcome, policy)).toBe(outcome);
    const ended = { ...record, outcome };
    expect(enforceQualityOf(ended, policy)).toBe(ended);
  });

  it('leaves a check as it is that has not ended', () => {
    const queued = { ...record, status: 'queued' } as const;
    expect(enforceQualityOf(queued, 'enforce')).toBe(queued);
  });
});
