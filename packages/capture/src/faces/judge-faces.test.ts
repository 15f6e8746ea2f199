import { expect, it } from 'vitest';
import { type FaceBox, judgeFaces } from './judge-faces.js';

const picture = { width: 160, height: 120 };

/** A face of this size, a share of the shorter side, with its middle moved by shares of it. */
const faceOf = (size: number, x = 0, y = 0): FaceBox => ({
  x: 80 + 120 * x - 60 * size,
  y: 60 + 120 * y - 60 * size,
  width: 120 * size,
  height: 120 * size,
});

it.each([
  ['no face', 'face_not_detected', []],
  ['a face that fills the oval', undefined, [faceOf(0.42)]],
  ['a face that is far away', 'face_too_small', [faceOf(0.2)]],
  ['a face that is close', 'face_too_close', [faceOf(0.7)]],
  ['a face at the side', 'face_off_center', [faceOf(0.42, 0.2)]],
  ['a face at the top', 'face_off_center', [faceOf(0.42, 0, -0.2)]],
  ['two equal faces', 'too_many_faces', [faceOf(0.42), faceOf(0.42, 0.5)]],
  ['a face and a small one behind it', undefined, [faceOf(0.2, 0.5), faceOf(0.42)]],
])('%s is judged as %s', (_name, code, faces) => {
  expect(judgeFaces(faces, picture)).toBe(code);
});
