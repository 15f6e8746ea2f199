import { expect, test } from 'vitest';
import type { Calibration } from '../models/calibration.js';
import type { Classifier, View } from '../models/catalogue.js';
import { cropView } from './crop-view.js';
import { allocateBatch, fromRows, reuseBatch } from './picture.js';
import {
  averageViews,
  classifyFaces,
  type FaceInPicture,
  type FaceScore,
  sigmoid,
} from './score-faces.js';

test('a mean of probabilities lets one saturated view outvote two, a mean of logits does not', () => {
  const logits = [-3, -3, 20];
  expect(sigmoid(averageViews([-3, -3, 6], 'logits'))).toBeCloseTo(0.5);
  expect(sigmoid(averageViews(logits, 'probabilities'))).toBeCloseTo((1 + 2 * sigmoid(-3)) / 3);
  expect(averageViews([0.5, 0.5], 'probabilities')).toBeCloseTo(0.5);
});

test('averageViews keeps saturated probabilities finite and in order', () => {
  const [sure, surer] = [10, 1000].map((logit) => averageViews([logit], 'probabilities'));
  expect(surer).toBeLessThan(Infinity);
  expect(surer).toBeGreaterThan(sure!);
});

const views: View[] = [
  { scale: 2, fill: 'zero' },
  { scale: 2, fill: 'reflect' },
  { scale: 3.5, fill: 'zero' },
  { scale: 3.5, fill: 'reflect' },
];
const model: Classifier = {
  name: 'mean',
  model: 'mean',
  task: 'classify',
  version: '1',
  licence: 'none',
  training_data: 'none',
  source: { type: 'added', date: '2026-01-01', sha256: '' },
  file: 'mean.onnx',
  sha256: '',
  input: {
    name: 'input',
    width: 4,
    height: 4,
    channels: 'RGB',
    subtract: [0, 0, 0],
    multiply: [1, 1, 1],
  },
  views,
  average: 'logits',
  resize: 'bilinear',
  output: { name: 'output', values: 'probabilities', classes: ['live', 'spoof'] },
  weight: 1,
  platt: { slope: 2, intercept: 0.5 },
};
const imageLength = 3 * 4 * 4;

/** A model whose P(spoof) grows with the brightness, and is different for each image. */
function judge(image: Float32Array): number {
  return image.reduce((sum, value) => sum + value) / (255 * image.length);
}

function createSession() {
  const runs: number[] = [];
  const run = async (batch: Float32Array) => {
    const images = Array.from({ length: batch.length / imageLength }, (_, i) =>
      batch.subarray(i * imageLength, (i + 1) * imageLength),
    );
    runs.push(images.length);
    const values = images.flatMap((image) => [1 - judge(image), judge(image)]);
    return { output: { values: Float32Array.from(values), shape: [images.length, 2] } };
  };
  return { runs, session: { run, close: async () => undefined } };
}

/** A face of 8x10 in a picture of this size that is brighter to the right and the bottom. */
function faceInPicture(side: number): FaceInPicture {
  const pixels = Uint8Array.from(
    { length: 3 * side * side },
    (_, i) => (i % 3) + (100 * (Math.floor(i / 3) % side) + 90 * Math.floor(i / 3 / side)) / side,
  );
  const middle = side / 2;
  const face = { left: middle - 4, right: middle + 4, top: middle - 5, bottom: middle + 5 };
  return { picture: fromRows({ width: side, height: side, pixels }), face };
}

/** The reference: runs every view by itself, then takes the mean of all views' logits. */
function scoreEveryView({ picture, face }: FaceInPicture): FaceScore {
  const logits = views.map((view) => {
    const { batch, images } = allocateBatch(model.input, 1);
    cropView(picture, { face, view, resize: model.resize }, images[0]!);
    const live = Math.fround(1 - judge(batch));
    return -Math.log(live / (1 - live));
  });
  const logit = 2 * (logits.reduce((a, b) => a + b) / logits.length) + 0.5;
  return {
    spoofProbability: 1 / (1 + Math.exp(-logit)),
    logit,
    views: ['2.0 zero', '2.0 reflect', '3.5 zero', '3.5 reflect'].map((view, i) => ({
      model: 'mean/1',
      view,
      logit: logits[i]!,
    })),
  };
}

test('faces share a run without duplicate views, and score as with all views', async () => {
  const { runs, session } = createSession();
  const faces = [faceInPicture(15), faceInPicture(40), faceInPicture(20)];
  const classifier = { model, session, takeBatch: reuseBatch(model.input) };
  expect(await classifyFaces({ classifiers: [classifier] }, faces)).toEqual(
    faces.map(scoreEveryView),
  );
  expect(runs).toEqual([4 + 2 + 3]);
});

test('faces whose views run one by one score as with all views in one run', async () => {
  const { runs, session } = createSession();
  const faces = [faceInPicture(15), faceInPicture(40)];
  const classifier = { model, session, takeBatch: reuseBatch(model.input), viewsPerRun: 1 };
  expect(await classifyFaces({ classifiers: [classifier] }, faces)).toEqual(
    faces.map(scoreEveryView),
  );
  expect(runs).toEqual([1, 1, 1, 1, 1, 1]);
});

test('a run that reuses the memory of an earlier one gives the same scores', async () => {
  const { session } = createSession();
  const classifier = { model, session, takeBatch: reuseBatch(model.input) };
  const faces = [faceInPicture(40), faceInPicture(15)];
  for (const face of faces) {
    expect(await classifyFaces({ classifiers: [classifier] }, [face])).toEqual([
      scoreEveryView(face),
    ]);
  }
});

test('classifiers are fused by weight, and the calibration comes after the fusion', async () => {
  const { session } = createSession();
  const [ours, other] = [
    { model: { ...model, weight: 3 }, session, takeBatch: reuseBatch(model.input) },
    {
      model: { ...model, name: 'other', platt: { slope: 2, intercept: 4.5 } },
      session,
      takeBatch: reuseBatch(model.input),
    },
  ] as const;
  const faces = [faceInPicture(20)];
  const [alone] = await classifyFaces({ classifiers: [ours] }, faces);
  const calibration: Calibration = {
    method: 'platt',
    platt: { slope: 0.5, intercept: -1 },
    data: {},
    figures: {},
  };
  const [fused] = await classifyFaces({ classifiers: [ours, other], calibration }, faces);
  expect(fused!.logit).toBeCloseTo(alone!.logit + 1, 10);
  expect(fused!.spoofProbability).toBeCloseTo(sigmoid(0.5 * (alone!.logit + 1) - 1), 10);
  expect(fused!.views.map((view) => view.model)).toEqual([
    ...views.map(() => 'mean/1'),
    ...views.map(() => 'other/1'),
  ]);
});
