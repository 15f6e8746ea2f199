import { expect, test } from 'vitest';
import { workOf, workOfBody } from './check-work.js';

const baseline = (width: number, height: number) => ({
  width,
  height,
  // Half as many samples of color as of gray.
  cost: { samples: 1.5 * width * height, heldBytes: 0 },
});

test('a photo of 12 megapixels is three times the work of a selfie', () => {
  const ratio = workOf(baseline(4000, 3000)) / workOf(baseline(640, 480));
  expect(ratio).toBeGreaterThan(2.8);
  expect(ratio).toBeLessThan(3.2);
});

test('each scan of an image adds work, and so does each pixel', () => {
  const photo = baseline(1000, 1000);
  const scans = { ...photo, cost: { ...photo.cost, samples: 10 * photo.cost.samples } };
  expect(workOf(scans) - workOf(photo)).toBeCloseTo(9 * 1.5 * 1.2, 6);
  const wide = { ...photo, width: 3000 };
  expect(workOf(wide) - workOf(photo)).toBeCloseTo(2, 6);
});

test('a body is taken for the baseline photo of 0.4 bytes a pixel that it would be', () => {
  for (const megapixels of [0, 1, 12, 50]) {
    const photo = baseline(1000, 1000 * megapixels);
    expect(workOfBody(0.4e6 * megapixels)).toBeCloseTo(workOf(photo), 6);
  }
});

test('a body of unknown length is taken for a selfie of 100 kB', () => {
  expect(workOfBody()).toBeCloseTo(workOf(baseline(500, 500)), 6);
});
