import { describe, expect, test } from 'vitest';
import { chooseCutPoints, parseCalibrationFile } from './calibration.js';

const loaded = { profile: 'default', model: 'fr-liveness/0.0.1+01234567' };
const cutPoints = { moderate: 0.3, high: 0.4 };
const sets = { soft: cutPoints, regular: { moderate: 0.5, high: 0.5 }, hardened: cutPoints };
const isotonic = { logits: [-1, 0, 0, 1], probabilities: [0.1, 0.2, 0.2, 0.9] };
const file = {
  format: 'livegate-calibration/1',
  ...loaded,
  method: 'isotonic',
  isotonic,
  cut_points: sets,
  data: {},
  figures: {},
};
const parse = (text: string) => parseCalibrationFile(text, { path: 'mine.json', loaded });
const parseWith = (change: object) => parse(JSON.stringify({ ...file, ...change }));

describe('a calibration file', () => {
  test('may have knots that jump, and equal cut points', () => {
    expect(parseWith({})).toEqual(file);
  });

  test.each<[string, object, string]>([
    ['with logits that fall', { isotonic: { ...isotonic, logits: [0, 1, 2, 1] } }, 'must not fall'],
    [
      'with probabilities that fall',
      { isotonic: { ...isotonic, probabilities: [0.9, 0.1, 0.2, 0.3] } },
      'must not fall',
    ],
    ['with a knot too few', { isotonic: { ...isotonic, logits: [-1, 0, 1] } }, 'the same length'],
    [
      'with cut points out of order',
      { cut_points: { ...sets, soft: { moderate: 0.5, high: 0.4 } } },
      'moderate must not be above high',
    ],
    ['of other models', { model: 'other' }, 'with other, but profile default with fr-liveness'],
    ['of another profile', { profile: 'fast' }, 'fit it again with "npm run calibrate"'],
  ])('is refused, with its path and the reason: %s', (_name, change, reason) => {
    expect(() => parseWith(change)).toThrow(/^mine\.json /);
    expect(() => parseWith(change)).toThrow(reason);
  });

  test('that is not JSON is refused as such', () => {
    expect(() => parse('{')).toThrow(/^mine\.json is not a calibration file:\n.*not JSON/s);
  });

  test('is refused with all of its mistakes', () => {
    const wrong = { isotonic: { ...isotonic, probabilities: [0, 1.9] }, cut_points: undefined };
    expect(() => parseWith(wrong)).toThrow(/isotonic\.probabilities\[1\]/);
    expect(() => parseWith(wrong)).toThrow(/cut_points/);
  });
});

test('cut points may be replaced by equal ones, but not out of order', () => {
  expect(chooseCutPoints(sets, { level: 'soft', moderate: 0.4 })).toEqual({
    moderate: 0.4,
    high: 0.4,
  });
  expect(() => chooseCutPoints(sets, { level: 'regular', high: 0.4 })).toThrow(
    'of MODERATE, 0.5, is above the one of HIGH, 0.4: set LIVEGATE_MODERATE_FROM and LIVEGATE_HIGH_FROM',
  );
});
