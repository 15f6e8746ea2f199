import type { Calibration, Classifier } from '../model-manifest.js';
import type { ModelSession } from '../onnx/open-session.js';
import { cropView } from './crop-view.js';
import { allocateBatch } from './image-tensor.js';
import type { Box, Picture } from './picture.js';

export interface SpoofClassifier {
  model: Classifier;
  session: ModelSession;
}

export interface FaceInPicture {
  picture: Picture;
  face: Box;
}

/** Calibrated P(spoof) of each face by one classifier: the mean over its views, all in one run. */
export async function scoreFaces(
  { model, session }: SpoofClassifier,
  faces: FaceInPicture[],
): Promise<number[]> {
  const viewCount = model.views.length;
  const { batch, images } = allocateBatch(model.input, faces.length * viewCount);
  for (const [i, image] of images.entries()) {
    const { picture, face } = faces[Math.floor(i / viewCount)]!;
    const crop = { face, view: model.views[i % viewCount]!, resize: model.resize };
    cropView(picture, crop, image);
  }
  const outputs = (await session.run(batch))[model.output.name]!;
  const spoofByView = readSpoofProbabilities(outputs, images.length, model.output);
  return faces.map((_, i) => {
    const views = spoofByView.slice(i * viewCount, (i + 1) * viewCount);
    return calibrate(mean(views), model.calibration);
  });
}

/** `outputs` is [count, classes]. */
function readSpoofProbabilities(
  outputs: Float32Array,
  count: number,
  { values, liveClass }: Classifier['output'],
): number[] {
  const classes = outputs.length / count;
  return Array.from({ length: count }, (_, i) => {
    const row = Array.from(outputs.subarray(i * classes, (i + 1) * classes));
    const probabilities = values === 'logits' ? softmax(row) : row;
    return 1 - probabilities[liveClass]!;
  });
}

/** The largest value is subtracted first, so that no exponential overflows. */
function softmax(logits: number[]): number[] {
  const largest = Math.max(...logits);
  const exponentials = logits.map((logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((a, b) => a + b);
  return exponentials.map((value) => value / sum);
}

/** Platt scaling. Certainty is capped, as the logarithm of 0 has no scale. */
export function calibrate(probability: number, { slope, intercept }: Calibration): number {
  const p = Math.min(Math.max(probability, 1e-7), 1 - 1e-7);
  return 1 / (1 + Math.exp(-(slope * Math.log(p / (1 - p)) + intercept)));
}

function mean(values: number[]): number {
  return values.reduce((a, b) => a + b) / values.length;
}
