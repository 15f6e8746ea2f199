import { expect, test } from 'vitest';
import { chooseFace } from './pipeline.js';

function faceOf(side: number, score = 0.95) {
  return { box: { left: 0, top: 0, right: side / 2, bottom: side }, score };
}

test('chooseFace returns no_face without a face', () => {
  expect(chooseFace([], 0.25)).toEqual({ kind: 'no_face' });
});

test('chooseFace ignores a second face below the size ratio, whatever its score', () => {
  const choice = chooseFace([faceOf(24, 0.99), faceOf(100)], 0.25);
  expect(choice).toEqual({ kind: 'one', box: faceOf(100).box });
});

test('chooseFace returns too_many_faces for a second face at the size ratio', () => {
  expect(chooseFace([faceOf(100), faceOf(25)], 0.25)).toEqual({ kind: 'too_many_faces' });
});
