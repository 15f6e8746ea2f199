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
 * ONNX Runtime's blocked layout stores this many channels side by side with AVX-512, and half as many
 * with AVX2. A convolution with another number of channels runs in the slower plain layout, with a
 * reordering before and after it.
 */
const BLOCK_CHANNELS = 16;

/** An axis of a tensor that has one value per channel. */
interface Axis {
  tensor: Tensor;
  axis: number;
}

/** The parameters of channels from the convolution that produces them to the one that mixes them. */
export interface ChannelSpan {
  axes: Axis[];
  depthwise: GraphNode[];
  /** The nodes between the two convolutions, in order. */
  between: GraphNode[];
  /** The convolution that mixes the channels. */
  mixing: GraphNode;
}

/**
 * Rounds channel counts inside the graph up to whole blocks. Added channels are always 0 and have weight
 * 0 where they are used, so results change only by the order of summation. Changes the graph in place.
 */
export function padChannels(graph: Graph): void {
  const index = indexGraph(graph);
  for (const node of graph.node ?? []) {
    const channels = channelsOf(node, index);
    const padded = Math.ceil(channels / BLOCK_CHANNELS) * BLOCK_CHANNELS;
    const span = padded > channels ? findSpan(node, channels, index) : undefined;
    if (!span) continue;
    for (const axis of span.axes) padWithZeros(axis, padded);
    for (const convolution of span.depthwise) setGroups(convolution, padded);
  }
}

/** The channels that an ordinary two-dimensional convolution produces; 0 for any other node. */
export function channelsOf(node: GraphNode, index: GraphIndex): number {
  const weights = groupsOf(node) === 1 ? index.constant(inputsOf(node)[1]) : undefined;
  const dims = weights ? dimensionsOf(weights) : [];
  return dims.length === 4 ? dims[0]! : 0;
}

/** Undefined if a node in between may mix the channels or map 0 to another value. */
export function findSpan(
  first: GraphNode,
  channels: number,
  index: GraphIndex,
): ChannelSpan | undefined {
  const between: GraphNode[] = [];
  let node = index.onlyConsumerOf(outputsOf(first)[0]);
  while (node && keepsChannelsApart(node, channels)) {
    between.push(node);
    node = index.onlyConsumerOf(outputsOf(node)[0]);
  }
  const mixing = node && groupsOf(node) === 1 && ownTensor(inputsOf(node)[1], index);
  const axes = [first, ...between].map((each) => parametersOf(each, channels, index));
  if (!mixing || axes.includes(undefined)) return undefined;
  return {
    axes: [...axes.flatMap((found) => found ?? []), { tensor: mixing, axis: 1 }],
    depthwise: between.filter(({ opType }) => opType === 'Conv'),
    between,
    mixing: node!,
  };
}

function keepsChannelsApart(node: GraphNode, channels: number): boolean {
  const groups = groupsOf(node);
  if (groups !== undefined) return groups > 1 && groups === channels;
  return node.opType === 'PRelu' || node.opType === 'Relu';
}

/** Undefined if a parameter is shared, computed, or not one value per channel. */
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
  // PRelu broadcasts slopes from the last axis: with fewer than three axes they are not per channel.
  return dims[0] === channels && (opType !== 'PRelu' || dims.length === 3);
}

/** A tensor that no other node uses, and so may be changed. */
function ownTensor(value: string | undefined, index: GraphIndex): Tensor | undefined {
  return index.onlyConsumerOf(value) ? index.constant(value) : undefined;
}

/** Undefined for a node that is not a convolution. */
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

export function sizeOf(dims: number[]): number {
  return dims.reduce((a, b) => a * b, 1);
}
