import { longerSide } from './picture.js';
import type { Box, Face } from './picture.js';

export type FaceChoice =
  { kind: 'one'; box: Box } | { kind: 'no_face' } | { kind: 'too_many_faces' };

/**
 * The one face an image is about. A second face counts only when its longer side is at least
 * `minFaceRatio` of the largest one's: a passer-by in the background is not a second face.
 */
export function chooseFace(faces: Face[], minFaceRatio: number): FaceChoice {
  const [largest, second] = faces
    .map((face) => face.box)
    .toSorted((a, b) => longerSide(b) - longerSide(a));
  if (!largest) return { kind: 'no_face' };
  if (second && longerSide(second) >= minFaceRatio * longerSide(largest)) {
    return { kind: 'too_many_faces' };
  }
  return { kind: 'one', box: largest };
}
