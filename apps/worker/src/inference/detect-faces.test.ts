import { expect, test } from 'vitest';
import { suppressOverlaps } from './detect-faces.js';

function square(left: number, top: number, side: number) {
  return { left, top, right: left + side, bottom: top + side };
}

test('of two boxes on one face the stronger stays', () => {
  const weak = { box: square(1, 0, 10), score: 0.91 };
  const strong = { box: square(0, 0, 10), score: 0.99 };
  expect(suppressOverlaps([weak, strong])).toEqual([strong]);
});

test('two faces side by side both stay, strongest first', () => {
  // Shared 20 of 180: IoU 0.11, and 0.2 of the smaller.
  const left = { box: square(0, 0, 10), score: 0.91 };
  const right = { box: square(8, 0, 10), score: 0.99 };
  expect(suppressOverlaps([left, right])).toEqual([right, left]);
});

test('an IoU above 0.3 is one face', () => {
  // Shared 50 of 150: IoU 0.33, but only half of the smaller.
  const faces = [square(0, 0, 10), square(5, 0, 10)].map((box) => ({ box, score: 0.9 }));
  expect(suppressOverlaps(faces)).toHaveLength(1);
});

test('a small box inside a large one is part of that face', () => {
  // IoU only 0.04, but all of the smaller.
  const faces = [square(0, 0, 10), square(4, 4, 2)].map((box) => ({ box, score: 0.9 }));
  expect(suppressOverlaps(faces)).toHaveLength(1);
});
