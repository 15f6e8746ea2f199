import onnxProto from 'onnx-proto';
import {
  dimensionsOf,
  floatTensor,
  type Graph,
  type GraphIndex,
  type GraphNode,
  indexGraph,
  inputsOf,
  outputsOf,
  readFloats,
  type Tensor,
} from './graph.js';
import { padChannels } from './pad-channels.js';
import { splitChannels } from './split-channels.js';

const { AttributeProto, ModelProto, NodeProto, TensorShapeProto } = onnxProto.onnx;

/**
 * Rewrites a published model: any batch size, and the same function in nodes that ONNX Runtime runs
 * faster.
 *
 * Deterministic and idempotent. The catalogue's `sha256` is that of the result, so a change of a step
 * changes the hash, and every models folder is prepared again at its next start.
 */
export function rewriteModel(published: Uint8Array): Uint8Array {
  return change(published, (graph) => {
    freeBatchDimension(graph);
    // Pad first: replacePRelu creates tensors with the channel count of the PRelu.
    padChannels(graph);
    splitChannels(graph);
    replacePRelu(graph);
  });
}

/** The published model with a free batch size and no other change, to compare the rewritten one with. */
export function freeBatchOf(published: Uint8Array): Uint8Array {
  return change(published, freeBatchDimension);
}

function change(file: Uint8Array, step: (graph: Graph) => void): Uint8Array {
  const model = ModelProto.decode(file);
  if (!model.graph?.input?.length) throw new Error('the file is not an ONNX model');
  step(model.graph);
  return ModelProto.encode(model).finish();
}

/**
 * The published graphs have the batch size 1. A name instead of the number as the first dimension of
 * inputs and outputs allows any batch size and leaves every result identical. Changes the graph in place.
 */
function freeBatchDimension(graph: Graph): void {
  // Older files list their weights among the inputs.
  const weights = new Set(graph.initializer?.map(({ name }) => name));
  const inputs = (graph.input ?? []).filter(({ name }) => !weights.has(name));
  for (const value of [...inputs, ...(graph.output ?? [])]) nameFirstDimension(value);
  // Intermediate shapes are recorded for one image; without them ONNX Runtime infers them.
  graph.valueInfo = [];
}

function nameFirstDimension(value: NonNullable<Graph['input']>[number]): void {
  const dimensions = value.type?.tensorType?.shape?.dim;
  // ONNX Runtime infers a shape that the file leaves out.
  if (dimensions?.[0]) dimensions[0] = TensorShapeProto.Dimension.create({ dimParam: 'batch' });
}

/**
 * Replaces y = PRelu(x) by slope * x + Relu((1 - slope) * x), which is equal for slopes up to 1.
 *
 * ONNX Runtime has no PRelu in its blocked layout, so it reorders the input and output of every PRelu.
 * A BatchNormalization is a product per channel in that layout, and ONNX Runtime fuses the Relu and the
 * sum with it: two passes over the values and no reordering. Changes the graph in place.
 */
export function replacePRelu(graph: Graph): void {
  const index = indexGraph(graph);
  const added: Tensor[] = [];
  const replaced = new Set<string>();
  graph.node = (graph.node ?? []).flatMap((node) => {
    const slopes = slopesOf(node, index);
    if (!slopes) return [node];
    const { nodes, tensors } = expand(node, slopes);
    added.push(...tensors);
    replaced.add(inputsOf(node)[1]!);
    return nodes;
  });
  // ONNX Runtime warns about tensors that no node uses.
  const taken = new Set(graph.node.flatMap(inputsOf));
  const left = graph.initializer?.filter(
    ({ name }) => taken.has(name ?? '') || !replaced.has(name ?? ''),
  );
  graph.initializer = [...(left ?? []), ...added];
}

/** The slopes of a PRelu with one slope per channel, none above 1; undefined for any other node. */
function slopesOf(node: GraphNode, index: GraphIndex): Float32Array | undefined {
  if (node.opType !== 'PRelu') return undefined;
  const tensor = index.constant(inputsOf(node)[1]);
  const channels = imageChannels(inputsOf(node)[0], index);
  if (!tensor || dimensionsOf(tensor).at(-3) !== channels) return undefined;
  const slopes = readFloats(tensor);
  return slopes.length === channels && slopes.every((slope) => slope <= 1) ? slopes : undefined;
}

/** Known only after a two-dimensional convolution, whose output has the channels on its second axis. */
function imageChannels(value: string | undefined, index: GraphIndex): number | undefined {
  const producer = index.producerOf(value);
  const weights = producer?.opType === 'Conv' ? index.constant(inputsOf(producer)[1]) : undefined;
  const dims = weights ? dimensionsOf(weights) : [];
  return dims.length === 4 ? dims[0] : undefined;
}

function expand(node: GraphNode, slopes: Float32Array): { nodes: GraphNode[]; tensors: Tensor[] } {
  const [x, y] = [inputsOf(node)[0]!, outputsOf(node)[0]!];
  const vectors = {
    slope: slopes,
    rest: slopes.map((slope) => 1 - slope),
    zeros: slopes.map(() => 0),
    ones: slopes.map(() => 1),
  };
  const tensors = Object.entries(vectors).map(([name, values]) =>
    floatTensor(`${y}/${name}`, [values.length], values),
  );
  const nodes = [
    // With shift and mean 0 and variance 1, only the product with the scale remains.
    scaling([x, `${y}/slope`, `${y}/zeros`, `${y}/zeros`, `${y}/ones`], `${y}/below`),
    scaling([x, `${y}/rest`, `${y}/zeros`, `${y}/zeros`, `${y}/ones`], `${y}/scaled`),
    nodeOf('Relu', [`${y}/scaled`], `${y}/above`),
    nodeOf('Add', [`${y}/below`, `${y}/above`], y),
  ];
  return { nodes, tensors };
}

function scaling(inputs: string[], output: string): GraphNode {
  // The default epsilon would be added to the variance and make the scale inexact.
  const epsilon = { name: 'epsilon', type: AttributeProto.AttributeType.FLOAT, f: 0 };
  const attribute = [AttributeProto.create(epsilon)];
  return { ...nodeOf('BatchNormalization', inputs, output), attribute };
}

function nodeOf(opType: string, input: string[], output: string): GraphNode {
  return NodeProto.create({ name: output, opType, input, output: [output] });
}
