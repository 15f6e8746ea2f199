import type { Assessment, ImageHeader, ModelSetFacts } from '@livegate/core/domain';
import type { DecodeImage } from './decode/decode-image.js';
import { findTooSmall, firstFactor, secondFactor, type TooSmall } from './decode/shrink-on-load.js';
import type { FaceDetector } from './detect-faces.js';
import { detectUpright } from './detect-upright.js';
import { forgetPictures } from './loops/loop-memory.js';
import { type Box, type Face, longerSide, type Picture } from './picture.js';
import { measureQuality } from './measure-quality.js';
import { removeSurround } from './surround/remove-surround.js';
import { classifyFaces, type SpoofClassifiers } from './score-faces.js';

/**
 * The path of one image:
 *
 *     decode ▶ (batch) ▶ remove surround ▶ detect upright ▶ choose ▶ classify, measure quality
 *
 * A large photo is decoded at a part of its size. If its face is then too small, the path is taken
 * once more, at the size that the face needs.
 *
 * The thread boundary is between the two functions below: `assessImage` runs on the main thread for
 * each image, and `assessPictures` runs in an engine's thread for a whole batch.
 */

export interface AssessImageDeps {
  decode: DecodeImage;
  /** Starts a look once there is memory for its decode, which it holds until it ends. */
  reserve<Result>(factor: number, look: () => Promise<Result>): Promise<Result>;
  /**
   * Waits for a batch, transfers its pixels to an engine's thread, and resolves to this picture's
   * share of what `assessPictures` returns there.
   */
  assessInBatch(picture: Picture): Promise<AssessedBySet>;
}

export interface AssessedImage {
  assessment: Assessment;
  /** The models that made the assessment, with the cut points for its verdict. */
  modelSet: ModelSetFacts;
  /** In milliseconds. `detectMs` and `classifyMs` are those of the whole batch. */
  timings: { decodeMs: number; detectMs: number; classifyMs: number };
}

/** Main thread: decodes one image, then has its picture assessed in a batch. */
export async function assessImage(
  { bytes, header }: { bytes: Uint8Array; header: ImageHeader },
  { decode, reserve, assessInBatch }: AssessImageDeps,
): Promise<AssessedImage> {
  const first = await look(firstFactor(header), true);
  if (first.assessment.kind !== 'too_small') return { ...first, assessment: first.assessment };
  const second = await look(secondFactor(header, first.assessment), false);
  if (second.assessment.kind === 'too_small')
    throw new Error('the face is still too small after the second decode');
  return { ...second, assessment: second.assessment, timings: add(first.timings, second.timings) };

  function look(factor: number, isFirstLook: boolean) {
    return reserve(factor, async () => {
      const decoded = await timed(() => decode(bytes, header, factor));
      const { timings, ...assessed } = await assessInBatch({ ...decoded.result, isFirstLook });
      return { ...assessed, timings: { decodeMs: decoded.ms, ...timings } };
    });
  }
}

type Timings = AssessedImage['timings'];

function add(a: Timings, b: Timings): Timings {
  return {
    decodeMs: a.decodeMs + b.decodeMs,
    detectMs: a.detectMs + b.detectMs,
    classifyMs: a.classifyMs + b.classifyMs,
  };
}

/** The open models of an engine, and its rules for faces. */
export interface Stages extends SpoofClassifiers {
  detector: FaceDetector;
  /** A second face counts when its longer side is at least this share of the largest one's. */
  minFaceRatio: number;
}

export interface AssessedPicture {
  assessment: Assessment | TooSmall;
  /** Milliseconds of the whole batch: each picture waits for all of them. */
  timings: { detectMs: number; classifyMs: number };
}

/** What an engine answers about a picture, with the model set that the engine belongs to. */
export interface AssessedBySet extends AssessedPicture {
  modelSet: ModelSetFacts;
}

/**
 * Engine thread: detects faces in a batch, chooses one face a picture, classifies the chosen ones and
 * measures the quality of their pictures. `findFaces` is another one only for practice.
 */
export async function assessPictures(
  { detector, minFaceRatio, ...classifiers }: Stages,
  pictures: Picture[],
  findFaces = detectUpright,
): Promise<AssessedPicture[]> {
  // Those of the previous batch.
  forgetPictures();
  const detect = await timed(async () => {
    const uncovered = pictures.map(removeSurround);
    const upright = await findFaces(
      detector,
      uncovered.map(({ picture }) => picture),
    );
    return upright.map((seen, i) => ({ ...seen, content: uncovered[i]!.content }));
  });
  const choices = detect.result.map(({ faces, ...upright }) => {
    const choice = chooseFace(faces, minFaceRatio);
    const facePixels = choice.kind === 'one' ? longerSide(choice.box) : undefined;
    const isUnclear = choice.kind !== 'too_many_faces' && upright.picture.isFirstLook;
    const tooSmall = isUnclear ? findTooSmall(upright.picture, facePixels) : undefined;
    return { ...upright, ...(tooSmall ?? choice) };
  });
  const chosen = choices.flatMap((choice) =>
    choice.kind === 'one' ? [{ picture: choice.picture, face: choice.box }] : [],
  );
  const classify = await timed(() => classifyFaces(classifiers, chosen));
  const timings = { detectMs: detect.ms, classifyMs: classify.ms };
  return choices.map((choice) => {
    if (choice.kind === 'too_small') {
      return { assessment: { kind: choice.kind, facePixels: choice.facePixels }, timings };
    }
    if (choice.kind !== 'one') return { assessment: { kind: choice.kind }, timings };
    const { picture, box, rotation, content } = choice;
    const quality = { ...measureQuality(picture, box, rotation), ...(content && { content }) };
    const score = classify.result.shift()!;
    return { assessment: { kind: 'scored', rotation, quality, ...score }, timings };
  });
}

async function timed<Result>(work: () => Promise<Result>): Promise<{ result: Result; ms: number }> {
  const started = performance.now();
  const result = await work();
  return { result, ms: performance.now() - started };
}

export type FaceChoice =
  { kind: 'one'; box: Box } | { kind: 'no_face' } | { kind: 'too_many_faces' };

/**
 * The face that an image is about. A second face counts only when its longer side is at least
 * `minFaceRatio` of the largest one's, so a passer-by in the background does not.
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
