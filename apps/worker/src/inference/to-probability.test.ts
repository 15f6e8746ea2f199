import { expect, test } from 'vitest';
import type { Calibration } from '../models/calibration.js';
import { toProbability } from './score-faces.js';

const described = { data: {}, figures: {} };
const isotonic: Calibration = {
  method: 'isotonic',
  isotonic: { logits: [-2, 0, 0, 2], probabilities: [0.1, 0.2, 0.6, 0.9] },
  ...described,
};

test('without a calibration the score is the sigmoid of the logit', () => {
  expect(toProbability(0)).toBe(0.5);
  expect(toProbability(Math.log(3))).toBeCloseTo(0.75, 12);
});

test('Platt scaling is the sigmoid of slope times logit plus intercept', () => {
  const platt: Calibration = {
    method: 'platt',
    platt: { slope: 2, intercept: Math.log(3) },
    ...described,
  };
  expect(toProbability(0, platt)).toBeCloseTo(0.75, 12);
  expect(toProbability(1, platt)).toBeCloseTo(1 / (1 + Math.exp(-2) / 3), 12);
});

test.each([
  [-9, 0.1],
  [-2, 0.1],
  [-1, 0.15],
  [0, 0.2],
  [1, 0.75],
  [2, 0.9],
  [9, 0.9],
])('isotonic knots are joined by straight lines: a logit of %d gives %d', (logit, expected) => {
  expect(toProbability(logit, isotonic)).toBeCloseTo(expected, 12);
});

test('no logit is so large that the score leaves 0..1 or is not a number', () => {
  for (const logit of [-1e300, -800, 800, 1e300, Infinity]) {
    expect(toProbability(logit)).toBeGreaterThanOrEqual(0);
    expect(toProbability(logit)).toBeLessThanOrEqual(1);
    expect(toProbability(logit, isotonic)).toBeLessThanOrEqual(0.9);
  }
});
