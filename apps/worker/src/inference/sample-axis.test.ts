import { describe, expect, test } from 'vitest';
import type { Resize } from '../models/catalogue.js';
import { sampleAxis, type SourceAxis, type Span } from './crop-view.js';
import type { PictureAxis } from './picture.js';

type How = Omit<SourceAxis, keyof PictureAxis> & { outLength: number };

/** Applies the weights of a sampled axis to pixel values. */
function resample(values: number[], span: Span, { outLength, ...how }: How): number[] {
  const axis = sampleAxis(span, outLength, { length: values.length, start: 0, stride: 1, ...how });
  return Array.from({ length: outLength }, (_, i) => {
    let sum = 0;
    for (let tap = i * axis.taps; tap < (i + 1) * axis.taps; tap++) {
      sum += values[axis.offsets[tap]!]! * axis.weights[tap]!;
    }
    return sum;
  });
}

test('sampleAxis copies an interval of the output length', () => {
  const how: How = { outLength: 3, fill: 'zero', resize: 'bilinear' };
  expect(resample([10, 20, 30, 40], { start: 1, length: 3 }, how)).toEqual([20, 30, 40]);
});

test('bilinear mixes the two nearest pixel centers', () => {
  const how: How = { outLength: 4, fill: 'reflect', resize: 'bilinear' };
  // Output centers are at 0.25, 0.75, 1.25, 1.75; pixel centers at 0.5 and 1.5.
  expect(resample([10, 20], { start: 0, length: 2 }, how)).toEqual([12.5, 12.5, 17.5, 17.5]);
});

test('area averages all source pixels that an output pixel covers', () => {
  const how: How = { outLength: 2, fill: 'zero', resize: 'area' };
  // Each output covers 1.5 pixels: (10 + 20 / 2) / 1.5 and (20 / 2 + 40) / 1.5.
  const averaged = resample([10, 20, 40], { start: 0, length: 3 }, how);
  expect(averaged[0]).toBeCloseTo(20 / 1.5);
  expect(averaged[1]).toBeCloseTo(50 / 1.5);
});

test('area enlarges like bilinear', () => {
  const span = { start: 0, length: 2 };
  const area = resample([10, 20], span, { outLength: 4, fill: 'reflect', resize: 'area' });
  const bilinear = resample([10, 20], span, { outLength: 4, fill: 'reflect', resize: 'bilinear' });
  expect(area).toEqual(bilinear);
});

test('zero fill is black outside the picture', () => {
  const how: How = { outLength: 6, fill: 'zero', resize: 'bilinear' };
  expect(resample([10, 20], { start: -2, length: 6 }, how)).toEqual([0, 0, 10, 20, 0, 0]);
});

test('reflect fill mirrors without repeating the outermost pixel, as often as needed', () => {
  const how: How = { outLength: 9, fill: 'reflect', resize: 'bilinear' };
  const mirrored = resample([10, 20, 30], { start: -3, length: 9 }, how);
  expect(mirrored).toEqual([20, 30, 20, 10, 20, 30, 20, 10, 20]);
});

test('a picture one pixel wide reflects to itself', () => {
  const how: How = { outLength: 3, fill: 'reflect', resize: 'bilinear' };
  expect(resample([7], { start: -1, length: 3 }, how)).toEqual([7, 7, 7]);
});

test('offsets are counted in strides from the first pixel', () => {
  const axis = { length: 4, start: 500, stride: -30 };
  const source: SourceAxis = { ...axis, fill: 'zero', resize: 'bilinear' };
  const { offsets } = sampleAxis({ start: 0.5, length: 3 }, 3, source);
  expect([...offsets]).toEqual([500, 470, 470, 440, 440, 410]);
});

describe('sampleAxis reports that it leaves the picture', () => {
  const leaves = (span: Span, outLength: number, resize: Resize) =>
    sampleAxis(span, outLength, { length: 10, start: 0, stride: 1, fill: 'zero', resize })
      .leavesPicture;

  test('when the interval reaches beyond either side', () => {
    expect(leaves({ start: -1, length: 8 }, 8, 'bilinear')).toBe(true);
    expect(leaves({ start: 3, length: 8 }, 8, 'bilinear')).toBe(true);
    expect(leaves({ start: 0.5, length: 9.6 }, 3, 'area')).toBe(true);
  });

  test('for an interval from edge to edge only if it is enlarged, which mixes in outside pixels', () => {
    expect(leaves({ start: 0, length: 10 }, 10, 'bilinear')).toBe(false);
    expect(leaves({ start: 0, length: 10 }, 3, 'area')).toBe(false);
    expect(leaves({ start: 0, length: 10 }, 20, 'bilinear')).toBe(true);
  });
});
