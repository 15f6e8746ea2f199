import type { Calibration, Classifier } from '../model-manifest.js';
import type { ModelSession } from '../onnx/open-session.js';
import { cropView } from './crop-view.js';
import { distinctViews } from './distinct-views.js';
import type { FaceInPicture } from './distinct-views.js';
import type { TakeBatch } from './image-tensor.js';

export interface SpoofClassifier {
  model: Classifier;
  session: ModelSession;
  takeBatch: TakeBatch;
}

/**
 * The score of each face by one classifier: the mean of P(spoof) over its views, all in one run, then the
 * calibration of its manifest. The one of the shipped model changes nothing.
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
  const outputs = (await session.run(batch))[model.output.name]!;
  const spoofByCrop = readSpoofProbabilities(outputs, crops.length, model.output);
  return viewsByFace.map(({ views, shownBy }) => {
    const ofFace = spoofByCrop.splice(0, views.length);
    return calibrate(mean(shownBy.map((view) => ofFace[view]!)), model.calibration);
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
