import { expect, test } from 'vitest';
import { largestDeviation, runModel } from '@livegate/testing/models/run-model';
import {
  encodeGraph,
  someTensor,
  someValues,
  TINY_SIZE,
  tinyGraph,
  type TinyNode,
  type TinyTensor,
} from '@livegate/testing/models/tiny-model';
import type { Graph } from './graph.js';
import { padChannels } from './pad-channels.js';

const batch = Float32Array.from(someValues(2 * 3 * TINY_SIZE * TINY_SIZE));
async function outputOf(graph: Graph): Promise<Float32Array> {
  const size = { width: TINY_SIZE, height: TINY_SIZE };
  return (await runModel(encodeGraph(graph), { ...size, batch }))['output']!;
}

const tensors = {
  'make.weights': someTensor(5, 3, 1, 1),
  'make.bias': someTensor(5),
  slopes: someTensor(5, 1, 1),
  'blur.weights': someTensor(5, 1, 3, 3),
  'blur.bias': someTensor(5),
  'mix.weights': someTensor(2, 5, 2, 2),
  'mix.bias': someTensor(2),
} satisfies Record<string, TinyTensor>;

const make: TinyNode = {
  type: 'Conv',
  inputs: ['input', 'make.weights', 'make.bias'],
  output: 'made',
};
const mix: TinyNode = {
  type: 'Conv',
  inputs: ['made', 'mix.weights', 'mix.bias'],
  output: 'output',
};

test('padChannels fills blocks between two convolutions and keeps the output', async () => {
  const graph = tinyGraph(
    [
      make,
      { type: 'PRelu', inputs: ['made', 'slopes'], output: 'bent' },
      { type: 'Conv', inputs: ['bent', 'blur.weights', 'blur.bias'], output: 'blur', groups: 5 },
      { type: 'Relu', inputs: ['blur'], output: 'cut' },
      { ...mix, inputs: mix.inputs.with(0, 'cut') },
    ],
    tensors,
  );
  const before = await outputOf(graph);
  padChannels(graph);
  expect(Object.fromEntries(graph.initializer!.map(({ name, dims }) => [name, dims]))).toEqual({
    'make.weights': [16, 3, 1, 1],
    'make.bias': [16],
    slopes: [16, 1, 1],
    'blur.weights': [16, 1, 3, 3],
    'blur.bias': [16],
    'mix.weights': [2, 16, 2, 2],
    'mix.bias': [2],
  });
  const after = await outputOf(graph);
  expect(largestDeviation(after, before)).toBeLessThan(1e-6);
});

const made = { inputs: ['made'], output: 'kept' };
const mixKept = { ...mix, inputs: mix.inputs.with(0, 'kept') };
test.each([
  ['are the graph output', tinyGraph([{ ...make, output: 'output' }], tensors)],
  ['are also a graph output', tinyGraph([make, mix], tensors, { moreOutputs: ['made'] })],
  ['have two consumers', tinyGraph([make, mix, { ...made, type: 'Neg' }], tensors)],
  [
    'pass a function that maps 0 to another value',
    tinyGraph([make, { ...made, type: 'Sigmoid' }, mixKept], tensors),
  ],
  [
    'pass a PRelu with a slope per column',
    tinyGraph([make, { type: 'PRelu', inputs: ['made', 'columns'], output: 'kept' }, mixKept], {
      ...tensors,
      'make.weights': someTensor(4, 3, 1, 1),
      'make.bias': someTensor(4),
      columns: someTensor(4),
      'mix.weights': someTensor(2, 4, 2, 2),
    }),
  ],
  [
    'are mixed by a grouped convolution',
    tinyGraph(
      [make, { type: 'Conv', inputs: ['made', 'halves'], output: 'kept', groups: 2 }, mixKept],
      {
        ...tensors,
        'make.weights': someTensor(6, 3, 1, 1),
        'make.bias': someTensor(6),
        halves: someTensor(6, 3, 1, 1),
        'mix.weights': someTensor(2, 6, 2, 2),
      },
    ),
  ],
  [
    'share their bias with another convolution',
    tinyGraph(
      [make, mix, { ...make, output: 'other' }].map((node, i) =>
        i === 2 ? { ...node, inputs: ['input', 'other.weights', 'make.bias'] } : node,
      ),
      { ...tensors, 'other.weights': someTensor(5, 3, 1, 1) },
    ),
  ],
  [
    'fill whole blocks already',
    tinyGraph([make, mix], {
      ...tensors,
      'make.weights': someTensor(32, 3, 1, 1),
      'make.bias': someTensor(32),
      'mix.weights': someTensor(2, 32, 2, 2),
    }),
  ],
])('padChannels does not change channels that %s', (_, graph) => {
  const before = encodeGraph(graph);
  padChannels(graph);
  expect(encodeGraph(graph)).toEqual(before);
});
