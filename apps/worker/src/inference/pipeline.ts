import type { Assessment } from '@livegate/core/domain';
import { detectFaces, type FaceDetector } from './detect-faces.js';
import { type Box, type Face, longerSide, type Picture } from './picture.js';
import { judgeFaces, type SpoofClassifier } from './score-faces.js';

/** What an engine holds: the open models, and the rules for faces. */
export interface Stages {
  detector: FaceDetector;
  classifiers: SpoofClassifier[];
  /** A second face counts when its longer side is at least this share of the largest one's. */
  minFaceRatio: number;
}

export interface AssessedPicture {
  assessment: Assessment;
  /** Of the whole run: each of its pictures waited for all of them. */
  timings: { detectMs: number; classifyMs: number };
}

/** The straight line of a run: detect, choose the face of each picture, judge those chosen. */
export async function assessPictures(
  { detector, classifiers, minFaceRatio }: Stages,
  pictures: Picture[],
): Promise<AssessedPicture[]> {
  const detect = await timed(() => detectFaces(detector, pictures));
  const choices = detect.result.map((faces) => chooseFace(faces, minFaceRatio));
  const chosen = choices.flatMap((choice, i) =>
    choice.kind === 'one' ? [{ picture: pictures[i]!, face: choice.box }] : [],
  );
  const classify = await timed(() => judgeFaces(classifiers, chosen));
  const timings = { detectMs: detect.ms, classifyMs: classify.ms };
  return choices.map((choice) => ({
    assessment:
      choice.kind === 'one'
        ? { kind: 'scored', spoofProbability: classify.result.shift()! }
        : choice,
    timings,
  }));
}

async function timed<Result>(work: () => Promise<Result>): Promise<{ result: Result; ms: number }> {
  const started = performance.now();
  const result = await work();
  return { result, ms: performance.now() - started };
}

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
