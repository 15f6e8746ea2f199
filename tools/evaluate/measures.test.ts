import { expect, test } from 'vitest';
import { apcerAtBpcer, areaUnderCurve, equalErrorRate } from './measures.js';

test('areaUnderCurve is 1 for separated scores, 0.5 for equal ones and 0 for inverted ones', () => {
  expect(areaUnderCurve([0.8, 0.9], [0.1, 0.2])).toBe(1);
  expect(areaUnderCurve([0.5, 0.5], [0.5, 0.5])).toBe(0.5);
  expect(areaUnderCurve([0.1], [0.9])).toBe(0);
});

test('equalErrorRate is the error rate at the threshold where both errors are equal', () => {
  expect(equalErrorRate([0.8, 0.9], [0.1, 0.2])).toBe(0);
  // At 0.6 one attack of four (0.3) is missed, and one bona fide of four (0.7) is refused.
  expect(equalErrorRate([0.3, 0.6, 0.8, 0.9], [0.1, 0.2, 0.4, 0.7])).toBe(0.25);
});

test('apcerAtBpcer uses the lowest threshold that keeps the BPCER', () => {
  const bonaFide = Array.from({ length: 20 }, (_, i) => i / 100); // 0 to 0.19
  // One bona fide of twenty may be called an attack: from 0.185 on, and one attack lies below.
  expect(apcerAtBpcer([0.05, 0.185, 0.19, 0.5], bonaFide, 0.05)).toBe(0.25);
});

test('apcerAtBpcer is 1 if every threshold that catches an attack exceeds the BPCER', () => {
  expect(apcerAtBpcer([0.1, 0.2], [0.9], 0)).toBe(1);
});
