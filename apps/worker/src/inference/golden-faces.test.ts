// Golden values of the default models and views, recorded with onnxruntime-node 1.30 on x64. They
// catch a change of decoding, detection, cropping or fusion that changes a score.
import { inspectHeader } from '@livegate/core/domain';
import { afterAll, expect, test } from 'vitest';
import { face, type FaceName, faceNames } from '@livegate/testing/images/photos';
import { preparedModels } from '@livegate/testing/models/prepared-models';
import { loadModels } from '../models/load-models.js';
import type { View } from '../models/catalogue.js';
import { openSession } from '../models/open-session.js';
import { cropView } from './crop-view.js';
import { createDecodeImage } from './decode/decode-image.js';
import { detectFaces } from './detect-faces.js';
import { allocateBatch, type Box, type Picture, reuseBatch } from './picture.js';
import { classifyFaces, distinctViews } from './score-faces.js';

const decodeImage = createDecodeImage(1);

interface Golden {
  /** Left, top, right, bottom in pixels, within 1. */
  box: number[];
  /** Mean of each view's tensor (0..255), within 0.5, in the order of the manifest's views. */
  viewMeans: number[];
  /** Blue, green, red in the middle of the first view (0..255), within 2. */
  middle: number[];
  /**
   * Of each view of the recorded box, within 0.02. Noise of one level in each pixel moves a logit by
   * up to 0.2, a box that is off by one pixel by up to 1.7.
   */
  logits: number[];
  /** Calibrated P(spoof) of the found box, within 0.01: 0.1 pixel moves it by up to 0.004. */
  spoof: number;
}

const goldenFaces: Record<FaceName, Golden> = {
  'photo 1 left': {
    box: [191.9, 210.2, 379.3, 447],
    viewMeans: [52.11, 39.14],
    middle: [98.9, 124, 166],
    logits: [-8.425, -7.6102],
    spoof: 0.0022,
  },
  'photo 1 middle': {
    box: [232.8, 252.7, 421.9, 481.1],
    viewMeans: [30.78, 29.18],
    middle: [71.4, 96, 126.2],
    logits: [-9.0699, -8.9533],
    spoof: 0.0011,
  },
  'photo 1 right': {
    box: [216.8, 206.3, 431.2, 436.9],
    viewMeans: [70.71, 64.69],
    middle: [124.8, 150.8, 196.8],
    logits: [-6.2507, -5.2674],
    spoof: 0.0108,
  },
  'photo 2 right': {
    box: [248.3, 162.6, 442.2, 382],
    viewMeans: [115.76, 137.12],
    middle: [136.5, 142.5, 153.5],
    logits: [-5.0194, -3.0642],
    spoof: 0.035,
  },
  'photo 3 left': {
    box: [314.6, 322.6, 508.3, 609.5],
    viewMeans: [147.54, 137.84],
    middle: [151.4, 162.9, 224.5],
    logits: [-7.9127, -4.751],
    spoof: 0.0072,
  },
  'photo 3 middle': {
    box: [231.7, 210.9, 476, 518],
    viewMeans: [104.57, 86.55],
    middle: [135.1, 150.1, 216.7],
    logits: [-4.1611, 1.4818],
    spoof: 0.2081,
  },
  'photo 4 left': {
    box: [241.5, 201.5, 387, 447.4],
    viewMeans: [99.71, 102.61],
    middle: [82.8, 120.8, 178.8],
    logits: [-7.6753, -7.3475],
    spoof: 0.0031,
  },
  'photo 2 left': {
    box: [125.8, 60.7, 266.7, 372.5],
    viewMeans: [137.79, 32.99],
    middle: [175.5, 173.5, 195.5],
    logits: [1.5069, 5.7557],
    spoof: 0.9014,
  },
};

const {
  detector: detectorModel,
  classifiers,
  calibration,
} = await loadModels(await preparedModels());
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

afterAll(async () => {
  await detector.session.close();
  await classifier.session.close();
});

test.each(faceNames)('%s has the recorded face, views and score', async (name) => {
  const golden = goldenFaces[name];
  const picture = await decodeFace(name);
  const [[found] = []] = await detectFaces(detector, [picture]);
  const { left, top, right, bottom } = found!.box;
  expectClose([left, top, right, bottom], golden.box, 1);

  // From the recorded box, so that the test of cropping does not depend on detection.
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

  const score = async (of: Box) =>
    (await classifyFaces({ classifiers: [classifier], calibration }, [{ picture, face: of }]))[0]!;
  const { views } = await score(box);
  expectClose(
    views.map(({ logit }) => logit),
    golden.logits,
    0.02,
  );
  expectClose([(await score(found!.box)).spoofProbability], [golden.spoof], 0.01);
});

test('runs that are padded to a full batch find the same faces and scores', async () => {
  const pictures = await Promise.all(faceNames.slice(0, 3).map(decodeFace));
  const takeFull = reuseBatch(detectorModel.input, (count) => Math.max(count, 8));
  const takeFullViews = reuseBatch(model.input, (count) => Math.max(count, 16));
  const exact = await detectFaces(detector, pictures);
  expect(await detectFaces({ ...detector, takeBatch: takeFull }, pictures)).toEqual(exact);

  const faces = pictures.map((picture, i) => ({ picture, face: exact[i]![0]!.box }));
  const scores = await classifyFaces({ classifiers: [classifier] }, faces);
  const full = { ...classifier, takeBatch: takeFullViews };
  const padded = await classifyFaces({ classifiers: [full] }, faces);
  expectClose(
    padded.map(({ spoofProbability }) => spoofProbability),
    scores.map(({ spoofProbability }) => spoofProbability),
    1e-6,
  );
});

test('equal views run once, and the score is as if all views had run', async () => {
  const allViews = [2, 2.7].flatMap((scale) =>
    (['zero', 'reflect'] as const).map((fill) => ({ scale, fill })),
  );
  const counts: number[] = [];
  for (const name of faceNames) {
    const picture = await decodeFace(name);
    const [left, top, right, bottom] = goldenFaces[name].box as [number, number, number, number];
    const box: Box = { left, top, right, bottom };
    const { views, shownBy } = distinctViews({ picture, face: box }, { ...model, views: allViews });
    const ofDistinct = await runViews(picture, box, views);
    expect(await runViews(picture, box, allViews)).toEqual(shownBy.map((i) => ofDistinct[i]));
    counts.push(views.length);
  }
  expect(counts).toEqual([3, 2, 2, 3, 2, 3, 3, 4]);
});

async function decodeFace(name: FaceName): Promise<Picture> {
  const bytes = await face(name);
  return await decodeImage(bytes, inspectHeader(bytes, 1_000_000));
}

/** The model's P(spoof) of each view, all in one run. */
async function runViews(picture: Picture, box: Box, views: View[]): Promise<Float32Array[]> {
  const { batch, images } = allocateBatch(model.input, views.length);
  for (const [i, view] of views.entries()) {
    cropView(picture, { face: box, view, resize: model.resize }, images[i]!);
  }
  const { values } = (await classifier.session.run(batch))[model.output.name]!;
  const classes = values.length / views.length;
  return views.map((_, i) => values.slice(i * classes, (i + 1) * classes));
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
