// Golden values of the default models and views, recorded with onnxruntime-node 1.30 on x64. A
// change of decoding, detection, cropping or fusion that moves a score shows here first.
import { afterAll, expect, test } from 'vitest';
import { face, faceNames } from '../../../test/fixtures/photos.js';
import type { FaceName } from '../../../test/fixtures/photos.js';
import { preparedModels } from '../../../test/fixtures/prepared-models.js';
import { loadModels } from './load-models.js';
import type { View } from './model-manifest.js';
import { openSession } from './onnx/open-session.js';
import { cropView } from './stages/crop-view.js';
import { decodeImage } from './stages/decode-image.js';
import { detectFaces } from './stages/detect-faces.js';
import { distinctViews } from './stages/distinct-views.js';
import { allocateBatch, reuseBatch } from './stages/image-tensor.js';
import type { Box, Picture } from './stages/picture.js';
import { scoreFaces } from './stages/score-faces.js';

interface Golden {
  /** Left, top, right, bottom in pixels, within 1. */
  box: number[];
  /** Mean of each view's tensor (0..255), within 0.5, in the order of the manifest's views. */
  viewMeans: number[];
  /** Blue, green, red in the middle of the first view (0..255), within 2. */
  middle: number[];
  /** Fused P(spoof), within 0.01. */
  spoof: number;
}

const goldenFaces: Record<FaceName, Golden> = {
  'photo 1 left': {
    box: [193.4, 208.5, 379.5, 448.6],
    viewMeans: [51.59, 51.59, 38.56, 41.59],
    middle: [96.1, 119.0, 157.6],
    spoof: 0.0004,
  },
  'photo 1 middle': {
    box: [232.9, 254.3, 420.6, 486.4],
    viewMeans: [30.47, 30.47, 29.6, 29.6],
    middle: [78.9, 110.2, 145.7],
    spoof: 0.0002,
  },
  'photo 1 right': {
    box: [216.2, 205.3, 431.1, 435.5],
    viewMeans: [70.8, 70.8, 64.76, 64.76],
    middle: [130.0, 156.0, 202.0],
    spoof: 0.0043,
  },
  'photo 2 right': {
    box: [247.5, 163.2, 443.7, 383.1],
    viewMeans: [115.77, 115.77, 137.13, 147.09],
    middle: [139.2, 145.2, 156.2],
    spoof: 0.0123,
  },
  'photo 3 left': {
    box: [314.7, 322.0, 505.3, 608.8],
    viewMeans: [147.74, 147.74, 137.78, 137.78],
    middle: [150.1, 162.6, 225.1],
    spoof: 0.0035,
  },
  'photo 3 middle': {
    box: [231.3, 208.3, 476.1, 517.5],
    viewMeans: [104.64, 104.64, 84.91, 112.14],
    middle: [132.5, 147.7, 214.3],
    spoof: 0.1848,
  },
  'photo 4 left': {
    box: [242.5, 200.5, 387.2, 449.2],
    viewMeans: [100.21, 100.21, 100.01, 111.24],
    middle: [81.7, 120.3, 178.3],
    spoof: 0.0006,
  },
  'photo 2 left': {
    box: [124.4, 61.7, 268.3, 375.7],
    viewMeans: [58.87, 137.66, 32.29, 139.6],
    middle: [175.0, 173.0, 195.0],
    spoof: 0.9394,
  },
};

const { detector: detectorModel, classifiers } = await loadModels(await preparedModels());
const model = classifiers[0]!;
const cpu = { executionProvider: 'cpu', deviceId: 0, intraOpThreads: 1 } as const;
const session = await openSession(detectorModel, cpu);
const detector = {
  model: detectorModel,
  session,
  takeBatch: reuseBatch(detectorModel.input),
  scoreThreshold: 0.9,
};
const classifier = {
  model,
  session: await openSession(model, cpu),
  takeBatch: reuseBatch(model.input),
};

const decoding = { maxImagePixels: 1_000_000, frame: detectorModel.input };

afterAll(async () => {
  await detector.session.close();
  await classifier.session.close();
});

test.each(faceNames)('%s is seen as recorded', async (name) => {
  const golden = goldenFaces[name];
  const image = await decodeImage(await face(name), decoding);
  const { picture } = image;
  const [[found] = []] = await detectFaces(detector, [image]);
  const { left, top, right, bottom } = found!.box;
  expectClose([left, top, right, bottom], golden.box, 1);

  // From the recorded box, so that cropping is judged by itself.
  const [boxLeft, boxTop, boxRight, boxBottom] = golden.box as [number, number, number, number];
  const box: Box = { left: boxLeft, top: boxTop, right: boxRight, bottom: boxBottom };
  const { images } = allocateBatch(model.input, model.views.length);
  for (const [i, view] of model.views.entries()) {
    cropView(picture, { face: box, view, resize: model.resize }, images[i]!);
  }
  expectClose(
    images.map(({ values }) => mean(values)),
    golden.viewMeans,
    0.5,
  );
  expectClose(middleOf(images[0]!.values), golden.middle, 2);

  expectClose(await scoreFaces(classifier, [{ picture, face: found!.box }]), [golden.spoof], 0.01);
});

test('views that look the same run once, and the model answers as if all had run', async () => {
  const counts: number[] = [];
  for (const name of faceNames) {
    const { picture } = await decodeImage(await face(name), decoding);
    const [left, top, right, bottom] = goldenFaces[name].box as [number, number, number, number];
    const box: Box = { left, top, right, bottom };
    const { views, shownBy } = distinctViews({ picture, face: box }, model);
    const ofDistinct = await runViews(picture, box, views);
    expect(await runViews(picture, box, model.views)).toEqual(shownBy.map((i) => ofDistinct[i]));
    counts.push(views.length);
  }
  expect(counts).toEqual([3, 2, 2, 3, 2, 3, 3, 4]);
});

/** The model's answer to each view, all in one run. */
async function runViews(picture: Picture, box: Box, views: View[]): Promise<Float32Array[]> {
  const { batch, images } = allocateBatch(model.input, views.length);
  for (const [i, view] of views.entries()) {
    cropView(picture, { face: box, view, resize: model.resize }, images[i]!);
  }
  const outputs = (await classifier.session.run(batch))[model.output.name]!;
  const classes = outputs.length / views.length;
  return views.map((_, i) => outputs.slice(i * classes, (i + 1) * classes));
}

function expectClose(found: number[], golden: number[], tolerance: number): void {
  for (const [i, value] of golden.entries()) {
    expect(
      Math.abs(found[i]! - value),
      `${found.join()} against ${golden.join()}`,
    ).toBeLessThanOrEqual(tolerance);
  }
}

function mean(values: Float32Array): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function middleOf(values: Float32Array): number[] {
  return [0, 1, 2].map((plane) => values[plane * 128 * 128 + 64 * 128 + 64]!);
}
