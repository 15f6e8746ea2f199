import type { Detector } from '../models/model-manifest.js';
import type { ModelOutputs, ModelSession } from '../models/open-session.js';
import { letterbox, placeInFrame, toPictureBox } from './letterbox.js';
import { type Box, type Face, type Picture, readOutput, type TakeBatch } from './picture.js';

export interface FaceDetector {
  model: Detector;
  session: ModelSession;
  takeBatch: TakeBatch;
  /** Candidates the model is less sure of are no faces, 0..1. */
  scoreThreshold: number;
}

/**
 * Padding of the second look, as a share of the picture's width and height on each side: the model
 * misses faces that fill the frame.
 */
const SECOND_LOOK_PAD_SHARE = 0.35;

/** The faces of each picture, strongest first: one run for all, one more for those without any. */
export async function detectFaces(detector: FaceDetector, pictures: Picture[]): Promise<Face[][]> {
  const first = await look(detector, pictures, 0);
  const missed = pictures.filter((_, i) => first[i]!.length === 0);
  const second = await look(detector, missed, SECOND_LOOK_PAD_SHARE);
  return first.map((faces) => (faces.length > 0 ? faces : second.shift()!.filter(isUpright)));
}

/**
 * Whatever is round and fills the picture (a wheel, a plate, a retina) looks like a face to the
 * second look, but its box is as wide as it is high. Faces are higher: 34 of the 35 tight crops that
 * the second look found in the development images, and neither of the two round things.
 */
function isUpright({ box }: Face): boolean {
  return box.right - box.left < box.bottom - box.top;
}

async function look(
  { model, session, takeBatch, scoreThreshold }: FaceDetector,
  pictures: Picture[],
  padShare: number,
): Promise<Face[][]> {
  if (pictures.length === 0) return [];
  const { input } = model;
  const { batch, images } = takeBatch(pictures.length);
  const placements = pictures.map((picture) => placeInFrame(picture, input, padShare));
  for (const [i, tensor] of images.entries()) letterbox(pictures[i]!, placements[i]!, tensor);
  const { scores, boxes } = readOutputs(await session.run(batch), pictures.length, model);
  return pictures.map((picture, i) => {
    const candidates = readCandidates(scores[i]!, boxes[i]!, scoreThreshold);
    for (const candidate of candidates) requireArea(candidate, model);
    return suppressOverlaps(candidates).map(({ score, box }) => ({
      score,
      box: toPictureBox(box, placements[i]!, { frame: input, picture }),
    }));
  });
}

/** Of each image: scores [anchors, 2], index 1 = face; boxes [anchors, 4], x1 y1 x2 y2 in 0..1. */
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

/** A view of a face that has no area would show nothing of the picture, and be scored all the same. */
function requireArea({ box }: Face, { name }: Detector): void {
  if (box.left < box.right && box.top < box.bottom) return;
  throw new Error(`model ${name} gave a face a box without area: ${JSON.stringify(box)}`);
}

function splitEvenly(values: Float32Array, parts: number): Float32Array[] {
  const size = values.length / parts;
  return Array.from({ length: parts }, (_, i) => values.subarray(i * size, (i + 1) * size));
}

/** Two boxes whose intersection over union exceeds this are one face. */
const MAX_IOU = 0.3;
/** So are two of which the smaller lies in the other by more than this share of its area. */
const MAX_SHARE_OF_SMALLER = 0.7;

/** Non-maximum suppression: the strongest box of every face, strongest first. */
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
  return shared > MAX_IOU * union || shared > MAX_SHARE_OF_SMALLER * smaller;
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
