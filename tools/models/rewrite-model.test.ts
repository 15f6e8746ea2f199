import onnxProto from 'onnx-proto';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { faces } from '@livegate/testing/images/photos';
import { publishedModels } from '@livegate/testing/models/published-models';
import { largestDeviation, runModel } from '@livegate/testing/models/run-model';
import {
  encodeGraph,
  someTensor,
  someValues,
  TINY_SIZE,
  tinyGraph,
  type TinyNode,
} from '@livegate/testing/models/tiny-model';
import type { Graph } from './graph.js';
import { freeBatchOf, replacePRelu, rewriteModel } from './rewrite-model.js';

const { ModelProto } = onnxProto.onnx;

const CLASSIFIER = { width: 128, height: 128 };
const DETECTOR = { width: 320, height: 240 };

const published = await publishedModels();
const rewritten = {
  detector: rewriteModel(published.detector),
  classifier: rewriteModel(published.classifier),
};

interface Size {
  width: number;
  height: number;
}

/** Eight faces in the models' layout, float32 [8, 3, h, w], with values from 0 to 255. */
async function facesOf({ width, height }: Size): Promise<Float32Array> {
  const planes = await Promise.all(
    (await faces()).map(async (photo) => {
      const pixels = await sharp(photo).resize(width, height).raw().toBuffer();
      return [2, 1, 0].flatMap((channel) => [...pixels].filter((_, i) => i % 3 === channel));
    }),
  );
  return Float32Array.from(planes.flat());
}

test.each([1, 4, 8])(
  'the rewritten classifier computes the published logits for a batch of %i',
  async (count) => {
    const batch = (await facesOf(CLASSIFIER)).subarray(0, count * 3 * 128 * 128);
    const expected = await runModel(freeBatchOf(published.classifier), { ...CLASSIFIER, batch });
    const found = await runModel(rewritten.classifier, { ...CLASSIFIER, batch });
    expect(found['output']).toHaveLength(count * 3);
    expect(largestDeviation(found['output']!, expected['output']!)).toBeLessThan(1e-5);
  },
);

test('the rewritten detector computes the published scores and boxes', async () => {
  const batch = (await facesOf(DETECTOR)).map((value) => (value - 127) / 128);
  const expected = await runModel(freeBatchOf(published.detector), { ...DETECTOR, batch });
  const found = await runModel(rewritten.detector, { ...DETECTOR, batch });
  expect(largestDeviation(found['scores']!, expected['scores']!)).toBeLessThan(1e-5);
  expect(largestDeviation(found['boxes']!, expected['boxes']!)).toBeLessThan(1e-5);
});

test('the rewritten classifier has no node that leaves ONNX Runtime’s blocked layout', () => {
  const { node, initializer } = ModelProto.decode(rewritten.classifier).graph!;
  expect(node!.map(({ opType }) => opType)).not.toContain('PRelu');
  const sizes = new Map(initializer!.map(({ name, dims }) => [name, dims!.map(Number)]));
  const channels = node!
    .filter(({ opType }) => opType === 'Conv')
    .map(({ input }) => sizes.get(input![1]!)![0]!);
  // 55 of the published model, three of which are split into four parts.
  expect(channels).toHaveLength(55 + 3 * 3);
  expect(channels.filter((count) => count % 16 > 0)).toEqual([]);
});

test.each(['detector', 'classifier'] as const)(
  'rewriting a rewritten model changes no byte: %s',
  (which) => {
    const again = rewriteModel(rewritten[which]);
    expect(Buffer.compare(again, rewritten[which])).toBe(0);
  },
);

test('rewriteModel throws for a file that is not a model', () => {
  expect(() => rewriteModel(new Uint8Array())).toThrow('the file is not an ONNX model');
});

/** The weights of a convolution that changes nothing. */
const identity = { dims: [3, 3, 1, 1], values: [1, 0, 0, 0, 1, 0, 0, 0, 1] };
const nodes: TinyNode[] = [
  { type: 'Conv', inputs: ['input', 'identity'], output: 'x' },
  { type: 'PRelu', inputs: ['x', 'slopes'], output: 'output' },
];
const tinyBatch = Float32Array.from(someValues(2 * 3 * TINY_SIZE * TINY_SIZE));

async function outputOf(graph: Graph): Promise<Float32Array> {
  const size = { width: TINY_SIZE, height: TINY_SIZE };
  return (await runModel(encodeGraph(graph), { ...size, batch: tinyBatch }))['output']!;
}

const operatorsOf = ({ node }: Graph) => node?.map(({ opType }) => opType);

test('replacePRelu computes x above 0 and slope times x below', async () => {
  const values = [-0.75, 0, 0.3];
  const graph = tinyGraph(nodes, { identity, slopes: { dims: [3, 1, 1], values } });
  replacePRelu(graph);
  expect(operatorsOf(graph)).not.toContain('PRelu');
  const expected = tinyBatch.map((x, i) => (x > 0 ? x : x * values[Math.floor(i / 16) % 3]!));
  const found = await outputOf(graph);
  expect(largestDeviation(found, expected)).toBeLessThan(1e-6);
});

test('replacePRelu replaces two nodes with shared slopes and removes the unused tensor', async () => {
  const twice: TinyNode[] = [
    ...nodes.with(1, { type: 'PRelu', inputs: ['x', 'slopes'], output: 'y' }),
    { type: 'Conv', inputs: ['y', 'mix'], output: 'z' },
    { type: 'PRelu', inputs: ['z', 'slopes'], output: 'output' },
  ];
  const slopes = { dims: [3, 1, 1], values: [0.1, -0.2, 1] };
  const graph = tinyGraph(twice, { identity, slopes, mix: someTensor(3, 3, 1, 1) });
  const before = await outputOf(graph);
  replacePRelu(graph);
  expect(operatorsOf(graph)).not.toContain('PRelu');
  expect(graph.initializer?.map(({ name }) => name)).not.toContain('slopes');
  const after = await outputOf(graph);
  expect(largestDeviation(after, before)).toBeLessThan(1e-6);
});

const slopes = someTensor(3, 1, 1);
test.each([
  ['a slope above 1', tinyGraph(nodes, { identity, slopes: { ...slopes, values: [0, 0, 1.5] } })],
  ['one slope for all channels', tinyGraph(nodes, { identity, slopes: someTensor(1, 1, 1) })],
  ['a slope for each pixel', tinyGraph(nodes, { identity, slopes: someTensor(3, 4, 4) })],
  [
    'slopes that are a graph input',
    tinyGraph(nodes, { identity, slopes }, { moreInputs: ['slopes'] }),
  ],
  [
    'slopes that are computed',
    tinyGraph([{ type: 'Neg', inputs: ['negative'], output: 'slopes' }, ...nodes], {
      identity,
      negative: slopes,
    }),
  ],
  [
    'an input of unknown channel count',
    tinyGraph([{ type: 'Neg', inputs: ['input'], output: 'x' }, nodes[1]!], { slopes }),
  ],
])('replacePRelu does not change a PRelu with %s', (_, graph) => {
  const before = encodeGraph(graph);
  replacePRelu(graph);
  expect(encodeGraph(graph)).toEqual(before);
});
