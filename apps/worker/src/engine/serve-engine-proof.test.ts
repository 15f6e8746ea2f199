import type { Quality } from '@livegate/core/domain';
import { expect, onTestFinished, test } from 'vitest';
import type { TinyNode } from '@livegate/testing/models/tiny-model';
import {
  meanOfColors,
  oneFace,
  tinyModels,
  type TinyPipeline,
} from '@livegate/testing/models/tiny-pipeline';
import { fromRows, reuseBatch } from '../inference/picture.js';
import { assessPictures, type Stages } from '../inference/pipeline.js';
import { openSession, type SessionModel } from '../models/open-session.js';
import { proveModels, runPractice } from './serve-engine.js';

async function openStages(given: TinyPipeline): Promise<Stages> {
  const { detector, classifiers } = tinyModels(given);
  const open = async <Model extends SessionModel>(model: Model) => {
    const options = { executionProvider: 'cpu', deviceId: 0, intraOpThreads: 1 } as const;
    const session = await openSession(model, options);
    onTestFinished(() => session.close());
    return { model, session, takeBatch: reuseBatch(model.input) };
  };
  return {
    detector: { ...(await open(detector)), scoreThreshold: 0.9 },
    classifiers: await Promise.all(classifiers.map(open)),
    minFaceRatio: 0.25,
  };
}

const output = {
  name: 'output',
  values: 'probabilities' as const,
  classes: ['live' as const, 'spoof' as const, 'spoof' as const],
};
/** The last node of a model, whose output the stage reads. */
const then = (type: string, ...inputs: string[]): TinyNode => ({ type, inputs, output: 'output' });
const classes = meanOfColors('classes');
const boxesInPlaceOf = (name: string, node: TinyNode): TinyNode[] =>
  oneFace.map((each) => (each.output === name ? node : each));

test('models that match the catalogue pass, and assess a picture', async () => {
  const stages = await openStages({});
  await proveModels(stages, 2);
  const pixels = new Uint8Array(3 * 8 * 8).fill(51);
  const picture = fromRows({ width: 8, height: 8, pixels });
  const [assessed] = await assessPictures(stages, [picture]);
  expect(assessed?.assessment).toEqual({
    kind: 'scored',
    rotation: 0,
    quality: expect.objectContaining({ codes: expect.any(Array) as string[] }) as Quality,
    spoofProbability: expect.closeTo(0.8, 5) as number,
    logit: expect.closeTo(Math.log(4), 5) as number,
    views: [
      {
        model: 'tiny-liveness/1',
        view: '1.0 zero',
        logit: expect.closeTo(Math.log(4), 5) as number,
      },
    ],
  });
});

test('a practice run scores a face and measures its quality', async () => {
  const [assessed] = await runPractice(await openStages({}));
  expect(assessed?.assessment).toMatchObject({
    kind: 'scored',
    quality: { face: { left: 200 / 640, top: 40 / 640 } },
    spoofProbability: expect.any(Number) as number,
  });
});

test.each<[string, NonNullable<TinyPipeline['classifier']>, string]>([
  [
    'another number of classes than the catalogue names',
    { entry: { output: { ...output, classes: ['spoof', 'live'] } } },
    'output "output" has 3 classes, the catalogue names 2',
  ],
  [
    'an output that the model does not have',
    { entry: { output: { ...output, name: 'logits' } } },
    'has no output "logits", its outputs are: output',
  ],
  [
    'an output that is not one row for each image',
    { nodes: [then('ReduceMean', 'input')].map((node) => ({ ...node, axes: [0, 2, 3] })) },
    'output "output" is [3], expected [2, any]',
  ],
  [
    'an output of more than classes',
    { nodes: [then('Relu', 'input')] },
    'output "output" is [2, 3, 4, 4], expected [2, any]',
  ],
  [
    'a single class of logits, with which every image would be live',
    {
      nodes: [classes, then('MatMul', 'classes', 'sum')],
      entry: { output: { ...output, values: 'logits' } },
    },
    'output "output" has 1 classes, the catalogue names 3',
  ],
  [
    'logits when the catalogue says probabilities',
    { nodes: [classes, then('Add', 'classes', 'ten')] },
    'output "output" must contain probabilities, but one is 10',
  ],
  [
    'NaN',
    { nodes: [classes, then('Div', 'classes', 'zero')] },
    'output "output" contains a value that is not finite',
  ],
  [
    'infinity',
    { nodes: [classes, then('Log', 'classes')] },
    'output "output" contains a value that is not finite',
  ],
])('a classifier is refused for %s', async (_, classifier, reason) => {
  const stages = await openStages({ classifier });
  await expect(proveModels(stages, 2)).rejects.toThrow(`model tiny-liveness`);
  await expect(proveModels(stages, 2)).rejects.toThrow(reason);
});

test.each<[string, NonNullable<TinyPipeline['detector']>, string]>([
  [
    'scores and boxes that are swapped',
    { entry: { output: { scores: 'boxes', boxes: 'output' } } },
    'output "boxes" is [2, 4, 4], expected [2, any, 2]',
  ],
  [
    'a box output that the model does not have',
    { entry: { output: { scores: 'output', boxes: 'none' } } },
    'has no output "none"',
  ],
  [
    'a score that is NaN',
    { nodes: boxesInPlaceOf('output', then('Div', 'nothing', 'zero')) },
    'output "output" contains a value that is not finite',
  ],
  [
    'a box that is infinite',
    {
      nodes: boxesInPlaceOf('boxes', { type: 'Log', inputs: ['zeros'], output: 'boxes' }),
    },
    'output "boxes" contains a value that is not finite',
  ],
  [
    'a face of no area',
    {
      nodes: boxesInPlaceOf('boxes', { type: 'Relu', inputs: ['zeros'], output: 'boxes' }),
    },
    'returned a face box without area: {"left":0,"top":0,"right":0,"bottom":0}',
  ],
])('a detector is refused for %s', async (_, detector, reason) => {
  const stages = await openStages({ detector });
  await expect(proveModels(stages, 2)).rejects.toThrow(`model tiny-detect`);
  await expect(proveModels(stages, 2)).rejects.toThrow(reason);
});
