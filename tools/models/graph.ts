import onnxProto, { type onnx } from 'onnx-proto';

const { TensorProto } = onnxProto.onnx;

export type Graph = onnx.IGraphProto;
export type GraphNode = onnx.INodeProto;
export type Tensor = onnx.ITensorProto;

/** The producer and consumers of each value at the time of indexing. */
export interface GraphIndex {
  producerOf(value: string | undefined): GraphNode | undefined;
  /** The only node that uses the value; undefined if there are several or it is a graph output. */
  onlyConsumerOf(value: string | undefined): GraphNode | undefined;
  /** A constant tensor of the file; undefined for a computed value or a graph input. */
  constant(value: string | undefined): Tensor | undefined;
}

export function indexGraph(graph: Graph): GraphIndex {
  const nodes = graph.node ?? [];
  const graphInputs = new Set(graph.input?.map(({ name }) => name));
  const graphOutputs = new Set(graph.output?.map(({ name }) => name));
  const producers = new Map(nodes.flatMap((node) => outputsOf(node).map((value) => [value, node])));
  const consumers = new Map<string, GraphNode[]>();
  for (const node of nodes) {
    for (const value of inputsOf(node))
      consumers.set(value, [...(consumers.get(value) ?? []), node]);
  }
  const constants = new Map(graph.initializer?.map((tensor) => [tensor.name, tensor]));
  return {
    producerOf: (value = '') => producers.get(value),
    onlyConsumerOf: (value = '') => {
      const [consumer, ...others] = consumers.get(value) ?? [];
      return others.length > 0 || graphOutputs.has(value) ? undefined : consumer;
    },
    constant: (value = '') => (graphInputs.has(value) ? undefined : constants.get(value)),
  };
}

export function inputsOf(node: GraphNode): string[] {
  return node.input ?? [];
}

export function outputsOf(node: GraphNode): string[] {
  return node.output ?? [];
}

export function dimensionsOf(tensor: Tensor): number[] {
  return (tensor.dims ?? []).map(Number);
}

/** Throws an Error for a tensor that is not float32. */
export function readFloats(tensor: Tensor): Float32Array {
  const { dataType, rawData, floatData } = tensor;
  // Copied because the bytes may not be aligned for float32.
  const values = rawData?.length
    ? new Float32Array(Uint8Array.from(rawData).buffer)
    : Float32Array.from(floatData ?? []);
  const size = dimensionsOf(tensor).reduce((a, b) => a * b, 1);
  if (dataType === TensorProto.DataType.FLOAT && values.length === size) return values;
  throw new Error(`the tensor ${tensor.name} does not contain ${size} float32 values`);
}

export function floatTensor(name: string, dims: number[], values: Float32Array): Tensor {
  const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return TensorProto.create({ name, dims, dataType: TensorProto.DataType.FLOAT, rawData });
}
