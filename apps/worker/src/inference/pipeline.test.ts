import { expect, test } from 'vitest';
import { chooseFace } from './pipeline.js';

function faceOf(side: number, score = 0.95) {
  return { box: { left: 0, top: 0, right: side / 2, bottom: side }, score };
}

test('no face is no_face', () => {
  expect(chooseFace([], 0.25)).toEqual({ kind: 'no_face' });
});

test('a passer-by below the ratio is not a second face, however sure the detector is', () => {
  const choice = chooseFace([faceOf(24, 0.99), faceOf(100)], 0.25);
  expect(choice).toEqual({ kind: 'one', box: faceOf(100).box });
});

test('a second face at the ratio counts', () => {
  expect(chooseFace([faceOf(100), faceOf(25)], 0.25)).toEqual({ kind: 'too_many_faces' });
});
