import onnxProto, { type onnx } from 'onnx-proto';
import { expect, test } from 'vitest';
import {
  encodeGraph,
  tinyClassifier,
  tinyGraph,
  type TinyNode,
} from '@livegate/testing/models/tiny-model';
import { inspectModel } from './inspect-model.js';

const { TensorProto } = onnxProto.onnx;
const { FLOAT, UINT8 } = TensorProto.DataType;

const nodes: TinyNode[] = [
  { type: 'ReduceMean', inputs: ['input'], output: 'output', axes: [2, 3] },
];

/** A tiny classifier whose input has other sizes (0 is variable) or another type. */
function withInput(sizes: number[], elemType: number = FLOAT): Uint8Array {
  const graph = tinyGraph(nodes, {});
  const dim = sizes.map((size) => (size > 0 ? { dimValue: size } : { dimParam: 'any' }));
  graph.input![0]!.type = { tensorType: { elemType, shape: { dim } } };
  return encodeGraph(graph);
}

function change(edit: (graph: onnx.IGraphProto) => void): Uint8Array {
  const graph = tinyGraph(nodes, { unused: { dims: [1], values: [0] } });
  edit(graph);
  return encodeGraph(graph);
}

test('inspectModel returns input, outputs and operator set of a classifier', () => {
  expect(inspectModel(tinyClassifier().published)).toEqual({
    input: { name: 'input', width: 4, height: 4 },
    outputs: ['output'],
    opset: 9,
  });
});

test('a variable size is taken from the option', () => {
  const bytes = withInput([0, 3, 0, 0]);
  expect(inspectModel(bytes, { size: 96 }).input).toMatchObject({ width: 96, height: 96 });
});

test.each<[string, Uint8Array, string]>([
  ['that is not an ONNX file', Buffer.from('weights'), 'the file is not an ONNX model'],
  ['that is empty', new Uint8Array(), 'the file is not an ONNX model'],
  ['of uint8', withInput([1, 3, 4, 4], UINT8), 'must be float32: "input" uint8 [1, 3, 4, 4]'],
  ['with the channels last', withInput([1, 4, 4, 3]), 'export it as [batch, 3, height, width]'],
  ['of gray images', withInput([1, 1, 4, 4]), 'must be [batch, 3, height, width], it is "input"'],
  ['of vectors', withInput([1, 512]), 'it is "input" float [1, 512]'],
  ['of variable size', withInput([0, 3, 0, 0]), 'name the size with --size'],
  [
    'with two inputs',
    encodeGraph(tinyGraph(nodes, {}, { moreInputs: ['second'] })),
    'exactly one input, an image, its inputs are: "input" float [any, 3, 4, 4], "second"',
  ],
  [
    'that returns an image',
    change(({ output }) => {
      const dim = [1, 3, 4, 4].map((dimValue) => ({ dimValue }));
      output![0]!.type = { tensorType: { elemType: FLOAT, shape: { dim } } };
    }),
    'needs an output of float32 [batch, classes], its outputs are: "output" float [1, 3, 4, 4]',
  ],
  [
    'with its weights in another file',
    change(({ initializer }) => {
      initializer![0]!.dataLocation = TensorProto.DataLocation.EXTERNAL;
    }),
    'its weights are in another file',
  ],
])('inspectModel refuses a model %s, and says what it needs', (_, bytes, reason) => {
  expect(() => inspectModel(bytes)).toThrow(reason);
});

test('inspectModel lists all reasons at once', () => {
  const bytes = change(({ initializer, input }) => {
    initializer![0]!.dataLocation = TensorProto.DataLocation.EXTERNAL;
    input![0]!.type!.tensorType!.elemType = UINT8;
  });
  expect(() => inspectModel(bytes)).toThrow(/another file[^]*must be float32/);
});
