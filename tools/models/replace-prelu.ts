import onnxProto from 'onnx-proto';
import {
  dimensionsOf,
  floatTensor,
  readFloats,
  indexGraph,
  inputsOf,
  outputsOf,
  type Graph,
  type GraphIndex,
  type GraphNode,
  type Tensor,
} from './graph.js';

const { AttributeProto, NodeProto } = onnxProto.onnx;

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
