import onnxProto, { type onnx } from 'onnx-proto';
import { floatTensor } from '../../../../tools/models/graph.js';
import { rewriteModel } from '../../../../tools/models/rewrite-model.js';

const { AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } =
  onnxProto.onnx;

/** Width and height of the tiny models' images. */
export const TINY_SIZE = 4;

export interface TinyTensor {
  dims: number[];
  values: number[];
}

export interface TinyNode {
  type: string;
  inputs: string[];
  output: string;
  /** Only for a convolution. */
  groups?: number;
  /** Only for a reduction: the axes that it removes. */
  axes?: number[];
  /** Only for a cast: the data type. */
  to?: number;
}

/** A graph with the input `input`, float32 [batch, 3, 4, 4], and the output `output`. */
export function tinyGraph(
  nodes: TinyNode[],
  tensors: Record<string, TinyTensor>,
  { moreInputs = [], moreOutputs = [] }: { moreInputs?: string[]; moreOutputs?: string[] } = {},
): onnx.IGraphProto {
  return GraphProto.create({
    name: 'tiny',
    node: nodes.map(toNode),
    initializer: Object.entries(tensors).map(([name, { dims, values }]) =>
      floatTensor(name, dims, Float32Array.from(values)),
    ),
    input: ['input', ...moreInputs].map((name) => value(name, ['batch', 3, TINY_SIZE, TINY_SIZE])),
    output: ['output', ...moreOutputs].map((name) => value(name)),
  });
}

/** Uses the operator set of the published models. */
export function encodeGraph(graph: onnx.IGraphProto): Uint8Array {
  return ModelProto.encode({ irVersion: 6, opsetImport: [{ version: 9 }], graph }).finish();
}

/** Numbers between -1 and 1 that look random and are always the same. */
export function someValues(size: number): number[] {
  return Array.from({ length: size }, (_, i) => Math.sin(7 * i + 1));
}

export function someTensor(...dims: number[]): TinyTensor {
  return { dims, values: someValues(dims.reduce((a, b) => a * b)) };
}

function toNode({ type, inputs, output, groups, axes, to }: TinyNode): onnx.INodeProto {
  const { INT, INTS } = AttributeProto.AttributeType;
  const attribute = [
    ...(groups ? [{ name: 'group', i: groups, type: INT }] : []),
    ...(to ? [{ name: 'to', i: to, type: INT }] : []),
    ...(axes ? [{ name: 'axes', ints: axes, type: INTS }] : []),
    ...(axes ? [{ name: 'keepdims', i: 0, type: INT }] : []),
  ];
  return NodeProto.create({
    name: output,
    opType: type,
    input: inputs,
    output: [output],
    attribute,
  });
}

/** Without `sizes`, ONNX Runtime infers the shape. A name is a variable size. */
function value(name: string, sizes?: (number | string)[]): onnx.IValueInfoProto {
  const dim = sizes?.map((size) =>
    typeof size === 'string' ? { dimParam: size } : { dimValue: size },
  );
  const elemType = TensorProto.DataType.FLOAT;
  const tensorType = { elemType, ...(dim && { shape: { dim } }) };
  return ValueInfoProto.create({ name, type: { tensorType } });
}

/** A classifier as its author would publish it, with the batch size 1. */
export interface TinyFile {
  published: Uint8Array;
  /** As `npm run models` prepares it. */
  prepared: Uint8Array;
  input: { name: string; width: number; height: number };
}

/** Three classes, whose logits are the means of red, green and blue. */
export function tinyClassifier(): TinyFile {
  const mean: TinyNode = { type: 'ReduceMean', inputs: ['input'], output: 'output', axes: [2, 3] };
  const graph = tinyGraph([mean], {});
  graph.input = [value('input', [1, 3, TINY_SIZE, TINY_SIZE])];
  graph.output = [value('output', [1, 3])];
  const published = encodeGraph(graph);
  const input = { name: 'input', width: TINY_SIZE, height: TINY_SIZE };
  return { published, prepared: rewriteModel(published), input };
}
