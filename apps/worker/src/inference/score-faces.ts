import type { ViewScore } from '@livegate/core/domain';
import type { Calibration, Knots, Scaling } from '../models/calibration.js';
import type { Classifier, Platt, View } from '../models/catalogue.js';
import type { ModelOutputs, ModelSession } from '../models/open-session.js';
import { cropView, leavesPicture } from './crop-view.js';
import { type Box, type Picture, readOutput, type TakeBatch } from './picture.js';

/*
 * From views to one score:
 *
 *   view logits ▶ average per model ▶ Platt scaling ▶ weighted mean of the models ▶ calibration
 *
 * A logit is log(P(spoof) / P(live)). Averaging logits instead of probabilities keeps one saturated
 * view from outvoting the others.
 */

export interface SpoofClassifier {
  model: Classifier;
  session: ModelSession;
  takeBatch: TakeBatch;
  /** Most views in one run; by default, all views of all faces are in one. */
  viewsPerRun?: number | undefined;
}

export interface SpoofClassifiers {
  classifiers: SpoofClassifier[];
  calibration?: Calibration | undefined;
}

export interface FaceInPicture {
  picture: Picture;
  face: Box;
}

/** What the classifiers say about one face. */
export interface FaceScore {
  /** 0..1 */
  spoofProbability: number;
  /** Before the calibration. */
  logit: number;
  /** Every view of every classifier, in the order of the profile. */
  views: ViewScore[];
}

/** Scores each face with all classifiers: the weighted mean of their logits, then calibrated. */
export async function classifyFaces(
  { classifiers, calibration }: SpoofClassifiers,
  faces: FaceInPicture[],
): Promise<FaceScore[]> {
  if (faces.length === 0) return [];
  const logits = await Promise.all(classifiers.map((classifier) => scoreViews(classifier, faces)));
  return faces.map((_, face) => {
    const byModel = classifiers.map(({ model }, i) => ({ model, logits: logits[i]![face]! }));
    const logit = fuse(byModel);
    const spoofProbability = toProbability(logit, calibration);
    return { spoofProbability, logit, views: byModel.flatMap(describeViews) };
  });
}

interface ModelScore {
  model: Classifier;
  /** In the order of the model's views. */
  logits: number[];
}

function fuse(scores: ModelScore[]): number {
  const total = scores.reduce((sum, { model }) => sum + model.weight, 0);
  return scores.reduce((sum, { model, logits }) => {
    const logit = scaleLogit(averageViews(logits, model.average), model.platt);
    return sum + (logit * model.weight) / total;
  }, 0);
}

/** The logit of the mean: of the logits, or of the probabilities. */
export function averageViews(logits: number[], average: Classifier['average']): number {
  return average === 'logits' ? mean(logits) : logitOf(mean(logits.map(sigmoid)));
}

function scaleLogit(logit: number, { slope, intercept }: Platt): number {
  return slope * logit + intercept;
}

function describeViews({ model, logits }: ModelScore): ViewScore[] {
  return model.views.map(({ scale, fill }, i) => ({
    model: `${model.name}/${model.version}`,
    view: `${Number.isInteger(scale) ? scale.toFixed(1) : scale} ${fill}`,
    logit: logits[i]!,
  }));
}

/** P(spoof), 0..1, of a fused logit; the plain sigmoid without a calibration. */
export function toProbability(logit: number, calibration?: Scaling): number {
  if (!calibration) return sigmoid(logit);
  if (calibration.method === 'isotonic') return interpolate(calibration.isotonic, logit);
  return sigmoid(calibration.platt.slope * logit + calibration.platt.intercept);
}

export function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}

/** Straight lines between the knots; the first and last probability outside them. */
function interpolate({ logits, probabilities }: Knots, logit: number): number {
  const above = logits.findIndex((knot) => knot >= logit);
  if (above === 0) return probabilities[0]!;
  if (above < 0) return probabilities.at(-1)!;
  const [x0, x1] = [logits[above - 1]!, logits[above]!];
  const [y0, y1] = [probabilities[above - 1]!, probabilities[above]!];
  return y0 + ((y1 - y0) * (logit - x0)) / (x1 - x0);
}

/** One classifier's logit of each view of each face. */
export async function scoreViews(
  classifier: SpoofClassifier,
  faces: FaceInPicture[],
): Promise<number[][]> {
  const { model, viewsPerRun } = classifier;
  const viewsByFace = faces.map((face) => distinctViews(face, model));
  const crops = faces.flatMap(({ picture, face }, i) =>
    viewsByFace[i]!.views.map((view) => ({ picture, face, view, resize: model.resize })),
  );
  const logitByCrop: number[] = [];
  while (logitByCrop.length < crops.length) {
    const from = logitByCrop.length;
    const some = crops.slice(from, viewsPerRun && from + viewsPerRun);
    logitByCrop.push(...(await scoreCrops(classifier, some)));
  }
  return viewsByFace.map(({ views, shownBy }) => {
    const ofFace = logitByCrop.splice(0, views.length);
    return shownBy.map((view) => ofFace[view]!);
  });
}

type CropInPicture = { picture: Picture } & Parameters<typeof cropView>[1];

async function scoreCrops(
  { model, session, takeBatch }: SpoofClassifier,
  crops: CropInPicture[],
): Promise<number[]> {
  const { batch, images } = takeBatch(crops.length);
  for (const [i, crop] of crops.entries()) cropView(crop.picture, crop, images[i]!);
  return readLogits(await session.run(batch, crops.length), crops.length, model);
}

function readLogits(outputs: ModelOutputs, count: number, model: Classifier): number[] {
  const { name: output, values } = model.output;
  const liveClass = model.output.classes.indexOf('live');
  const rows = readOutput(outputs, { model, output, shape: [count, undefined] });
  const classes = rows.length / count;
  requireClasses(model, classes);
  return Array.from({ length: count }, (_, i) => {
    const row = Array.from(rows.subarray(i * classes, (i + 1) * classes));
    const live = row[liveClass]!;
    return values === 'logits'
      ? logSumExp(row.toSpliced(liveClass, 1)) - live
      : -logitOf(requireProbability(live, model));
  });
}

function requireClasses({ name, output }: Classifier, found: number): void {
  if (found === output.classes.length) return;
  throw new Error(
    `model ${name}: output "${output.name}" has ${found} classes, the catalogue names ` +
      `${output.classes.length}`,
  );
}

/** Tolerance for probabilities outside 0..1, far above the rounding of float32. */
const ROUNDING = 1e-3;

/** Checked before `logitOf`, which clamps its input to 0..1 and would hide a wrong output. */
function requireProbability(value: number, { name, output }: Classifier): number {
  if (value >= -ROUNDING && value <= 1 + ROUNDING) return value;
  throw new Error(
    `model ${name}: output "${output.name}" must contain probabilities, but one is ${value}`,
  );
}

/** log(sum(exp)), with the largest value subtracted first so that no exponential overflows. */
function logSumExp(values: number[]): number {
  const largest = Math.max(...values);
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

/** The input is clamped, because the logit of 0 and 1 is infinite. */
function logitOf(probability: number): number {
  const p = Math.min(Math.max(probability, 1e-7), 1 - 1e-7);
  return Math.log(p / (1 - p));
}

function mean(values: number[]): number {
  return values.reduce((a, b) => a + b) / values.length;
}

export interface DistinctViews {
  views: View[];
  /** For each view of the model, in order, the index in `views` of the one with the same pixels. */
  shownBy: number[];
}

/**
 * The views of a face without duplicates. Views of one scale that differ only in their fill are
 * equal inside the picture.
 */
export function distinctViews(
  { picture, face }: FaceInPicture,
  { views, resize, input }: Pick<Classifier, 'views' | 'resize' | 'input'>,
): DistinctViews {
  const distinct: View[] = [];
  const shownBy = views.map((view) => {
    const showsFill = () => leavesPicture(picture, { face, view, resize }, input);
    const known = distinct.findIndex(
      ({ scale, fill }) => scale === view.scale && (fill === view.fill || !showsFill()),
    );
    return known >= 0 ? known : distinct.push(view) - 1;
  });
  return { views: distinct, shownBy };
}
