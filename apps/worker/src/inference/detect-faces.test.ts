import { expect, test } from 'vitest';
import { suppressOverlaps } from './detect-faces.js';

function square(left: number, top: number, side: number) {
  return { left, top, right: left + side, bottom: top + side };
}

test('suppressOverlaps keeps the higher score of two boxes on one face', () => {
  const weak = { box: square(1, 0, 10), score: 0.91 };
  const strong = { box: square(0, 0, 10), score: 0.99 };
  expect(suppressOverlaps([weak, strong])).toEqual([strong]);
});

test('suppressOverlaps keeps two faces side by side, highest score first', () => {
  // Intersection 20 of 180: IoU 0.11, and 0.2 of the smaller box.
  const left = { box: square(0, 0, 10), score: 0.91 };
  const right = { box: square(8, 0, 10), score: 0.99 };
  expect(suppressOverlaps([left, right])).toEqual([right, left]);
});

test('suppressOverlaps takes boxes with an IoU above 0.3 for one face', () => {
  // Intersection 50 of 150: IoU 0.33, but only half of the smaller box.
  const faces = [square(0, 0, 10), square(5, 0, 10)].map((box) => ({ box, score: 0.9 }));
  expect(suppressOverlaps(faces)).toHaveLength(1);
});

test('suppressOverlaps drops a small box inside a large one', () => {
  // IoU only 0.04, but all of the smaller box.
  const faces = [square(0, 0, 10), square(4, 4, 2)].map((box) => ({ box, score: 0.9 }));
  expect(suppressOverlaps(faces)).toHaveLength(1);
});
