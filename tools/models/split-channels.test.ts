import { largestDeviation, runModel } from '@livegate/testing/models/run-model';
import {
  encodeGraph,
  someTensor,
  someValues,
  tinyGraph,
  type TinyNode,
} from '@livegate/testing/models/tiny-model';
import { expect, test } from 'vitest';
import type { Graph } from './graph.js';
import { splitChannels } from './split-channels.js';

const CHANNELS = 80;

const tensors = {
  'make.weights': someTensor(CHANNELS, 3, 1, 1),
  'make.bias': someTensor(CHANNELS),
  slopes: someTensor(CHANNELS, 1, 1),
  'blur.weights': someTensor(CHANNELS, 1, 3, 3),
  'blur.bias': someTensor(CHANNELS),
  'mix.weights': someTensor(2, CHANNELS, 2, 2),
  'mix.bias': someTensor(2),
};

const block: TinyNode[] = [
  { type: 'Conv', inputs: ['input', 'make.weights', 'make.bias'], output: 'made' },
  { type: 'PRelu', inputs: ['made', 'slopes'], output: 'bent' },
  { type: 'Conv', inputs: ['bent', 'blur.weights', 'blur.bias'], output: 'out', groups: CHANNELS },
  { type: 'Conv', inputs: ['out', 'mix.weights', 'mix.bias'], output: 'output' },
];

/** The same graph for images of another size. */
function sized(graph: Graph, side: number): Graph {
  for (const dim of graph.input![0]!.type!.tensorType!.shape!.dim!.slice(2)) dim.dimValue = side;
  return graph;
}

function outputOf(graph: Graph, side: number) {
  const batch = Float32Array.from(someValues(2 * 3 * side * side));
  return runModel(encodeGraph(graph), { width: side, height: side, batch });
}

test('splitChannels computes a wide block in parts of 32 channels and keeps the output', async () => {
  const graph = sized(tinyGraph(block, tensors), 64);
  const before = await outputOf(graph, 64);
  splitChannels(graph);
  const dims = Object.fromEntries(graph.initializer!.map((tensor) => [tensor.name, tensor.dims]));
  expect(dims).toMatchObject({
    'make.weights/0': [32, 3, 1, 1],
    'make.weights/64': [16, 3, 1, 1],
    'slopes/32': [32, 1, 1],
    'blur.weights/32': [32, 1, 3, 3],
    'mix.weights/64': [2, 16, 2, 2],
    'mix.bias': [2],
  });
  expect(Object.keys(dims)).not.toContain('make.weights');
  const after = await outputOf(graph, 64);
  expect(largestDeviation(after['output']!, before['output']!)).toBeLessThan(1e-6);
});

test.each([
  ['are in the cache as they are', sized(tinyGraph(block, tensors), 32)],
  [
    'are not between two convolutions',
    sized(tinyGraph([{ ...block[0]!, output: 'output' }], tensors), 64),
  ],
  ['are used elsewhere', sized(tinyGraph(block, tensors, { moreOutputs: ['made'] }), 64)],
])('splitChannels does not change channels that %s', (_, graph) => {
  const before = graph.node!.map(({ opType }) => opType);
  splitChannels(graph);
  expect(graph.node!.map(({ opType }) => opType)).toEqual(before);
});
