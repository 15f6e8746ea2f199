import { expect, test } from 'vitest';
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
import { replacePRelu } from './replace-prelu.js';

/** The weights of a convolution that changes nothing. */
const identity = { dims: [3, 3, 1, 1], values: [1, 0, 0, 0, 1, 0, 0, 0, 1] };
const nodes: TinyNode[] = [
  { type: 'Conv', inputs: ['input', 'identity'], output: 'x' },
  { type: 'PRelu', inputs: ['x', 'slopes'], output: 'output' },
];
const batch = Float32Array.from(someValues(2 * 3 * TINY_SIZE * TINY_SIZE));

async function outputOf(graph: Graph): Promise<Float32Array> {
  const size = { width: TINY_SIZE, height: TINY_SIZE };
  return (await runModel(encodeGraph(graph), { ...size, batch }))['output']!;
}

const operatorsOf = ({ node }: Graph) => node?.map(({ opType }) => opType);

test('replacePRelu computes x above 0 and slope times x below', async () => {
  const values = [-0.75, 0, 0.3];
  const graph = tinyGraph(nodes, { identity, slopes: { dims: [3, 1, 1], values } });
  replacePRelu(graph);
  expect(operatorsOf(graph)).not.toContain('PRelu');
  const expected = batch.map((x, i) => (x > 0 ? x : x * values[Math.floor(i / 16) % 3]!));
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
