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

/**
 * ONNX Runtime's blocked layout holds this many channels side by side with AVX-512, and half as
 * many with AVX2. A convolution with another number of channels is computed in the plain, slower
 * layout, with a reordering before and after it.
 */
const BLOCK_CHANNELS = 16;

/** Values along one axis of a tensor, one for each channel. */
interface Axis {
  tensor: Tensor;
  axis: number;
}

/** The channels between a convolution that makes them and the one that mixes them into others. */
interface Stretch {
  axes: Axis[];
  depthwise: GraphNode[];
}

/**
 * Rounds numbers of channels inside the graph up to whole blocks. The added ones are 0 throughout
 * and are taken with weight 0, so every result stays what it was, but for the order of its sums.
 * Changes the graph in place.
 */
export function padChannels(graph: Graph): void {
  const index = indexGraph(graph);
  for (const node of graph.node ?? []) {
    const channels = channelsMadeBy(node, index);
    const padded = Math.ceil(channels / BLOCK_CHANNELS) * BLOCK_CHANNELS;
    const stretch = padded > channels ? findStretch(node, channels, index) : undefined;
    if (!stretch) continue;
    for (const axis of stretch.axes) padWithZeros(axis, padded);
    for (const convolution of stretch.depthwise) setGroups(convolution, padded);
  }
}

/** 0 for a node that is no ordinary convolution in two dimensions. */
function channelsMadeBy(node: GraphNode, index: GraphIndex): number {
  const weights = groupsOf(node) === 1 ? index.constant(inputsOf(node)[1]) : undefined;
  const dims = weights ? dimensionsOf(weights) : [];
  return dims.length === 4 ? dims[0]! : 0;
}

/** Undefined when the channels meet anything that may not keep them apart, and a 0 at 0. */
function findStretch(first: GraphNode, channels: number, index: GraphIndex): Stretch | undefined {
  const between: GraphNode[] = [];
  let node = index.onlyTakerOf(outputsOf(first)[0]);
  while (node && keepsApart(node, channels)) {
    between.push(node);
    node = index.onlyTakerOf(outputsOf(node)[0]);
  }
  const mixing = node && groupsOf(node) === 1 && ownTensor(inputsOf(node)[1], index);
  const axes = [first, ...between].map((each) => parametersOf(each, channels, index));
  if (!mixing || axes.includes(undefined)) return undefined;
  return {
    axes: [...axes.flatMap((found) => found ?? []), { tensor: mixing, axis: 1 }],
    depthwise: between.filter(({ opType }) => opType === 'Conv'),
  };
}

function keepsApart(node: GraphNode, channels: number): boolean {
  const groups = groupsOf(node);
  if (groups !== undefined) return groups > 1 && groups === channels;
  return node.opType === 'PRelu' || node.opType === 'Relu';
}

/** Undefined when one of them is shared, computed, or not by channel. */
function parametersOf(node: GraphNode, channels: number, index: GraphIndex): Axis[] | undefined {
  const tensors = inputsOf(node)
    .slice(1)
    .map((value) => ownTensor(value, index));
  const axes = tensors.flatMap((tensor) =>
    tensor && isByChannel(tensor, node, channels) ? [{ tensor, axis: 0 }] : [],
  );
  return axes.length === tensors.length ? axes : undefined;
}

function isByChannel(tensor: Tensor, { opType }: GraphNode, channels: number): boolean {
  const dims = dimensionsOf(tensor);
  // A PRelu's slopes are laid along its input from the last axis on: with fewer, not by channel.
  return dims[0] === channels && (opType !== 'PRelu' || dims.length === 3);
}

/** A tensor that another node takes as well cannot be changed for this one. */
function ownTensor(value: string | undefined, index: GraphIndex): Tensor | undefined {
  return index.onlyTakerOf(value) ? index.constant(value) : undefined;
}

/** Undefined for a node that is no convolution. */
function groupsOf({ opType, attribute }: GraphNode): number | undefined {
  if (opType !== 'Conv') return undefined;
  return Number(attribute?.find(({ name }) => name === 'group')?.i ?? 1);
}

function setGroups({ attribute }: GraphNode, groups: number): void {
  attribute!.find(({ name }) => name === 'group')!.i = groups;
}

function padWithZeros({ tensor, axis }: Axis, size: number): void {
  const dims = dimensionsOf(tensor);
  const values = readFloats(tensor);
  const paddedDims = dims.with(axis, size);
  const padded = new Float32Array(sizeOf(paddedDims));
  const [row, paddedRow] = [dims, paddedDims].map((each) => sizeOf(each.slice(axis)));
  for (let i = 0; i * row! < values.length; i++) {
    padded.set(values.subarray(i * row!, (i + 1) * row!), i * paddedRow!);
  }
  Object.assign(tensor, floatTensor(tensor.name ?? '', paddedDims, padded), { floatData: [] });
}

function sizeOf(dims: number[]): number {
  return dims.reduce((a, b) => a * b, 1);
}
