import { expect, test } from 'vitest';
import { calibrate } from './score-faces.js';

test('slope 1 and intercept 0 leave a probability as it is', () => {
  const probabilities = [0.001, 0.25, 0.5, 0.999];
  const calibrated = probabilities.map((p) => calibrate(p, { slope: 1, intercept: 0 }));
  for (const [i, p] of probabilities.entries()) expect(calibrated[i]).toBeCloseTo(p, 10);
});

test('certainty stays finite and in order', () => {
  const [sure, surer] = [0.99, 1].map((p) => calibrate(p, { slope: 2, intercept: -1 }));
  expect(surer).toBeLessThanOrEqual(1);
  expect(surer).toBeGreaterThan(sure!);
});

test('an intercept moves one half', () => {
  expect(calibrate(0.5, { slope: 1, intercept: Math.log(3) })).toBeCloseTo(0.75);
});
