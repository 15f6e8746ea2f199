import type { Detector } from '../models/catalogue.js';
import type { ModelOutputs, ModelSession } from '../models/open-session.js';
import { letterbox, placeInFrame, toPictureBox } from './letterbox.js';
import {
  type Box,
  type Face,
  type ImageTensor,
  type Picture,
  readOutput,
  type TakeBatch,
} from './picture.js';

export interface FaceDetector {
  model: Detector;
  session: ModelSession;
  takeBatch: TakeBatch;
  /** Candidates with a score up to this (0..1) are dropped. */
  scoreThreshold: number;
}

/**
 * Padding of the second pass, as a fraction of the picture's width and height on each side: the
 * model misses faces that fill the frame.
 */
const SECOND_PASS_PADDING = 0.35;

/**
 * The faces of each picture, highest score first. Pictures without a face get a second, padded
 * pass.
 */
export async function detectFaces(detector: FaceDetector, pictures: Picture[]): Promise<Face[][]> {
  const first = await runDetector(detector, pictures, 0);
  const missed = pictures.filter((_, i) => first[i]!.length === 0);
  const second = await runDetector(detector, missed, SECOND_PASS_PADDING);
  return first.map((faces) => (faces.length > 0 ? faces : second.shift()!.filter(isCloseUp)));
}

/**
 * Least height of a face that only the second pass finds, as a share of its width. That pass takes
 * round objects that fill the picture (a wheel, a plate, a retina) for faces, nearly as wide as
 * high. In the development images, 33 of the 35 close-up faces that only this pass found are higher,
 * and none of the two round objects.
 */
const CLOSE_UP_HEIGHT = 1.15;

function isCloseUp({ box }: Face): boolean {
  return box.bottom - box.top > CLOSE_UP_HEIGHT * (box.right - box.left);
}

async function runDetector(
  detector: FaceDetector,
  pictures: Picture[],
  padding: number,
): Promise<Face[][]> {
  const frame = detector.model.input;
  const placements = pictures.map((picture) => placeInFrame(picture, frame, padding));
  const found = await detectInFrames(
    detector,
    pictures.map((picture, i) => (tensor) => letterbox(picture, placements[i]!, tensor)),
  );
  return pictures.map((picture, i) =>
    found[i]!.map(({ score, box }) => ({
      score,
      box: toPictureBox(box, placements[i]!, { frame, picture }),
    })),
  );
}

/** Draws one image of the detector. The tensor has the values of an earlier run. */
export type DrawFrame = (tensor: ImageTensor) => void;

/**
 * The faces of each drawn image, highest score first, all in one run. The boxes are in fractions of
 * the image, 0..1.
 */
export async function detectInFrames(
  { model, session, takeBatch, scoreThreshold }: FaceDetector,
  frames: DrawFrame[],
): Promise<Face[][]> {
  if (frames.length === 0) return [];
  const { batch, images } = takeBatch(frames.length);
  for (const [i, draw] of frames.entries()) draw(images[i]!);
  const { scores, boxes } = readOutputs(
    await session.run(batch, frames.length),
    frames.length,
    model,
  );
  return frames.map((_, i) => {
    const candidates = readCandidates(scores[i]!, boxes[i]!, scoreThreshold);
    for (const candidate of candidates) requireArea(candidate, model);
    return suppressOverlaps(candidates);
  });
}

/** For each image: scores [anchors, 2], index 1 = face; boxes [anchors, 4], x1 y1 x2 y2 in 0..1. */
function readOutputs(outputs: ModelOutputs, count: number, model: Detector) {
  const { output } = model;
  const scores = readOutput(outputs, {
    model,
    output: output.scores,
    shape: [count, undefined, 2],
  });
  const boxes = readOutput(outputs, {
    model,
    output: output.boxes,
    shape: [count, scores.length / count / 2, 4],
  });
  return { scores: splitEvenly(scores, count), boxes: splitEvenly(boxes, count) };
}

function readCandidates(scores: Float32Array, boxes: Float32Array, threshold: number): Face[] {
  const candidates: Face[] = [];
  for (let anchor = 0; anchor < scores.length / 2; anchor++) {
    const score = scores[2 * anchor + 1]!;
    if (score <= threshold) continue;
    const [left, top, right, bottom] = boxes.subarray(4 * anchor, 4 * anchor + 4);
    candidates.push({ score, box: { left: left!, top: top!, right: right!, bottom: bottom! } });
  }
  return candidates;
}

/** Refuses an empty box: its views would show no pixel of the picture, and still get a score. */
function requireArea({ box }: Face, { name }: Detector): void {
  if (box.left < box.right && box.top < box.bottom) return;
  throw new Error(`model ${name} returned a face box without area: ${JSON.stringify(box)}`);
}

function splitEvenly(values: Float32Array, parts: number): Float32Array[] {
  const size = values.length / parts;
  return Array.from({ length: parts }, (_, i) => values.subarray(i * size, (i + 1) * size));
}

/** Boxes whose intersection over union exceeds this are one face. */
const MAX_IOU = 0.3;
/** Boxes whose intersection exceeds this fraction of the smaller box are one face, too. */
const MAX_OVERLAP_OF_SMALLER = 0.7;

/** Non-maximum suppression: the box with the highest score of each face, highest score first. */
export function suppressOverlaps(candidates: Face[]): Face[] {
  const kept: Face[] = [];
  for (const candidate of candidates.toSorted((a, b) => b.score - a.score)) {
    if (!kept.some((stronger) => isSameFace(stronger.box, candidate.box))) kept.push(candidate);
  }
  return kept;
}

function isSameFace(a: Box, b: Box): boolean {
  const shared = intersectionArea(a, b);
  const union = area(a) + area(b) - shared;
  const smaller = Math.min(area(a), area(b));
  return shared > MAX_IOU * union || shared > MAX_OVERLAP_OF_SMALLER * smaller;
}

function intersectionArea(a: Box, b: Box): number {
  return area({
    left: Math.max(a.left, b.left),
    top: Math.max(a.top, b.top),
    right: Math.min(a.right, b.right),
    bottom: Math.min(a.bottom, b.bottom),
  });
}

function area(box: Box): number {
  return Math.max(0, box.right - box.left) * Math.max(0, box.bottom - box.top);
}
