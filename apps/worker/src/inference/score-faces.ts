import type { Calibration, Classifier, View } from '../models/model-manifest.js';
import type { ModelOutputs, ModelSession } from '../models/open-session.js';
import { cropView, leavesPicture } from './crop-view.js';
import { type Box, type Picture, readOutput, type TakeBatch } from './picture.js';

/** P(spoof) of each face: the weighted mean over all classifiers. */
export async function classifyFaces(
  classifiers: SpoofClassifier[],
  faces: FaceInPicture[],
): Promise<number[]> {
  if (faces.length === 0) return [];
  const weights = classifiers.map(({ model }) => model.weight);
  const scores = await Promise.all(classifiers.map((classifier) => scoreFaces(classifier, faces)));
  return faces.map((_, i) =>
    fuse(
      scores.map((byFace) => byFace[i]!),
      weights,
    ),
  );
}

/** The weighted mean. Both lists are in the order of the classifiers. */
function fuse(scores: number[], weights: number[]): number {
  const total = weights.reduce((a, b) => a + b);
  return scores.reduce((sum, score, i) => sum + score * weights[i]!, 0) / total;
}

export interface SpoofClassifier {
  model: Classifier;
  session: ModelSession;
  takeBatch: TakeBatch;
}

/**
 * P(spoof) of each face by one classifier: the mean over its views, which are all in one run, then
 * the calibration of its manifest. The shipped model's calibration is the identity.
 */
export async function scoreFaces(
  { model, session, takeBatch }: SpoofClassifier,
  faces: FaceInPicture[],
): Promise<number[]> {
  const viewsByFace = faces.map((face) => distinctViews(face, model));
  const crops = faces.flatMap(({ picture, face }, i) =>
    viewsByFace[i]!.views.map((view) => ({ picture, face, view, resize: model.resize })),
  );
  const { batch, images } = takeBatch(crops.length);
  for (const [i, crop] of crops.entries()) cropView(crop.picture, crop, images[i]!);
  const spoofByCrop = readSpoofProbabilities(await session.run(batch), crops.length, model);
  return viewsByFace.map(({ views, shownBy }) => {
    const ofFace = spoofByCrop.splice(0, views.length);
    return calibrate(mean(shownBy.map((view) => ofFace[view]!)), model.calibration);
  });
}

function readSpoofProbabilities(outputs: ModelOutputs, count: number, model: Classifier): number[] {
  const { name: output, values, liveClass } = model.output;
  const rows = readOutput(outputs, { model, output, shape: [count, undefined] });
  const classes = rows.length / count;
  requireClass(model, classes);
  return Array.from({ length: count }, (_, i) => {
    const row = Array.from(rows.subarray(i * classes, (i + 1) * classes));
    const probabilities = values === 'logits' ? softmax(row) : row;
    return 1 - requireProbability(probabilities[liveClass]!, model);
  });
}

function requireClass({ name, output }: Classifier, classes: number): void {
  // The softmax of a single class is always 1, so every image would be live.
  const fewest = output.values === 'logits' ? 2 : 1;
  if (classes >= fewest && output.liveClass < classes) return;
  throw new Error(
    `model ${name}: output "${output.name}" has ${classes} classes of ${output.values}, too few ` +
      `for liveClass ${output.liveClass}`,
  );
}

/** Tolerance for probabilities outside 0..1, far above the rounding of float32. */
const ROUNDING = 1e-3;

/** Checked before the calibration, which clamps its input to 0..1 and would hide a wrong output. */
function requireProbability(value: number, { name, output }: Classifier): number {
  if (value >= -ROUNDING && value <= 1 + ROUNDING) return value;
  throw new Error(
    `model ${name}: output "${output.name}" must contain probabilities, but one is ${value}`,
  );
}

/** The largest value is subtracted first, so that no exponential overflows. */
function softmax(logits: number[]): number[] {
  const largest = Math.max(...logits);
  const exponentials = logits.map((logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((a, b) => a + b);
  return exponentials.map((value) => value / sum);
}

/** Platt scaling. The input is clamped, because the logit of 0 and 1 is infinite. */
export function calibrate(probability: number, { slope, intercept }: Calibration): number {
  const p = Math.min(Math.max(probability, 1e-7), 1 - 1e-7);
  return 1 / (1 + Math.exp(-(slope * Math.log(p / (1 - p)) + intercept)));
}

function mean(values: number[]): number {
  return values.reduce((a, b) => a + b) / values.length;
}

export interface FaceInPicture {
  picture: Picture;
  face: Box;
}

export interface DistinctViews {
  views: View[];
  /** For each view of the model, in order, the index in `views` of the one with the same pixels. */
  shownBy: number[];
}

/**
 * The views of a face without duplicates. Views that differ only in their fill are equal inside the
 * picture, so most selfies need two or three of the shipped classifier's four views.
 */
export function distinctViews(
  { picture, face }: FaceInPicture,
  { views, resize, input }: Pick<Classifier, 'views' | 'resize' | 'input'>,
): DistinctViews {
  const distinct: View[] = [];
  const shownBy = views.map((view) => {
    const fillMatters = leavesPicture(picture, { face, view, resize }, input);
    const known = distinct.findIndex(
      ({ scale, fill }) => scale === view.scale && (fill === view.fill || !fillMatters),
    );
    return known >= 0 ? known : distinct.push(view) - 1;
  });
  return { views: distinct, shownBy };
}
