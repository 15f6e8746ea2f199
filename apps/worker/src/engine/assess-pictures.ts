import type { Assessment } from '@livegate/core';
import { chooseFace } from '../stages/choose-face.js';
import { detectFaces } from '../stages/detect-faces.js';
import type { FaceDetector } from '../stages/detect-faces.js';
import { judgeFaces } from '../stages/judge-faces.js';
import type { Picture } from '../stages/picture.js';
import type { SpoofClassifier } from '../stages/score-faces.js';

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
