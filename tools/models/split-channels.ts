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
import { channelsOf, findSpan, sizeOf } from './pad-channels.js';

const { NodeProto } = onnxProto.onnx;

/**
 * Channels of a part: two blocks of ONNX Runtime's layout with AVX-512. With 16 the default
 * classifier took half as long again, with 64 as long as with all 112 (2026-11-26).
 */
export const PART = 32;

/** Least values of a channel, height times width. A smaller block is in the cache as a whole. */
const LEAST_VALUES = 64 * 64;

/**
 * Computes a wide block of channels in parts, so that the values of a part are in the processor's
 * cache from the convolution that makes them to the one that mixes them. The parts of the mixed
 * channels are added up, so results change only by the order of summation. Changes the graph in
 * place.
 */
export function splitChannels(graph: Graph): void {
  const index = indexGraph(graph);
  const parts = new Map<GraphNode, GraphNode[]>();
  const tensors: Tensor[] = [];
  for (const first of graph.node ?? []) {
    const channels = channelsOf(first, index);
    const isWide = channels > PART && valuesOf(first, graph, index) >= LEAST_VALUES;
    const span = isWide ? findSpan(first, channels, index) : undefined;
    // Several convolutions in a row would be split along two axes.
    if (!span || parts.has(first)) continue;
    const block = [first, ...span.between];
    for (const node of block) parts.set(node, []);
    const split = splitBlock(block, span.mixing, { channels, index });
    parts.set(span.mixing, split.nodes);
    tensors.push(...split.tensors);
  }
  graph.node = (graph.node ?? []).flatMap((node) => parts.get(node) ?? [node]);
  const taken = new Set(graph.node.flatMap(inputsOf));
  const left = graph.initializer?.filter(({ name }) => taken.has(name ?? ''));
  graph.initializer = [...(left ?? []), ...tensors];
}

function splitBlock(
  block: GraphNode[],
  mixing: GraphNode,
  { channels, index }: { channels: number; index: GraphIndex },
) {
  const tensors: Tensor[] = [];
  const nodes: GraphNode[] = [];
  const result = outputsOf(mixing)[0]!;
  const input = inputsOf(block[0]!)[0]!;
  let sum = '';
  for (let from = 0; from < channels; from += PART) {
    const to = Math.min(channels, from + PART);
    const cut = (value: string, axis: number): string => {
      const tensor = slice(index.constant(value)!, { axis, from, to, name: `${value}/${from}` });
      tensors.push(tensor);
      return tensor.name!;
    };
    let value = input;
    for (const node of block) {
      const parameters = inputsOf(node)
        .slice(1)
        .map((name) => cut(name, 0));
      const part = copyOf(node, [value, ...parameters], `${outputsOf(node)[0]}/${from}`);
      const isDepthwise = node !== block[0] && node.opType === 'Conv';
      nodes.push(isDepthwise ? withGroups(part, to - from) : part);
      value = outputsOf(part)[0]!;
    }
    const [, weights = '', bias] = inputsOf(mixing);
    const isFirst = from === 0;
    const mixed = `${result}/${from}`;
    const biases = isFirst && bias !== undefined ? [bias] : [];
    nodes.push(copyOf(mixing, [value, cut(weights, 1), ...biases], mixed));
    if (isFirst) {
      sum = mixed;
      continue;
    }
    const added = to === channels ? result : `${result}/to ${to}`;
    nodes.push(
      NodeProto.create({ name: added, opType: 'Add', input: [sum, mixed], output: [added] }),
    );
    sum = added;
  }
  return { nodes, tensors };
}

function copyOf(node: GraphNode, input: string[], output: string): GraphNode {
  return NodeProto.create({ ...node, name: output, input, output: [output] });
}

function withGroups(node: GraphNode, groups: number): GraphNode {
  const attribute = node.attribute!.map((each) =>
    each.name === 'group' ? { ...each, i: groups } : each,
  );
  return NodeProto.create({ ...node, attribute });
}

interface Cut {
  axis: number;
  from: number;
  to: number;
  name: string;
}

function slice(tensor: Tensor, { axis, from, to, name }: Cut): Tensor {
  const dims = dimensionsOf(tensor);
  const values = readFloats(tensor);
  const inner = sizeOf(dims.slice(axis + 1));
  const rows = sizeOf(dims.slice(0, axis));
  const kept = Array.from({ length: rows }, (_, row) =>
    values.subarray((row * dims[axis]! + from) * inner, (row * dims[axis]! + to) * inner),
  );
  const all = new Float32Array(rows * (to - from) * inner);
  for (const [row, part] of kept.entries()) all.set(part, row * part.length);
  return floatTensor(name, dims.with(axis, to - from), all);
}

/** Height times width of what a convolution returns, by the strides from the graph's input to it. */
function valuesOf(node: GraphNode, graph: Graph, index: GraphIndex): number {
  const [, , height = 0, width = 0] = (graph.input?.[0]?.type?.tensorType?.shape?.dim ?? []).map(
    ({ dimValue }) => Number(dimValue ?? 0),
  );
  let size = height * width;
  for (let at: GraphNode | undefined = node; at; at = index.producerOf(inputsOf(at)[0])) {
    const strides = at.attribute?.find(({ name }) => name === 'strides')?.ints ?? [];
    size /= strides.reduce((product: number, stride) => product * Number(stride), 1);
  }
  return size;
}
