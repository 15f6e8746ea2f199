import onnxProto, { type onnx } from 'onnx-proto';

const { TensorProto } = onnxProto.onnx;

export type Graph = onnx.IGraphProto;
export type GraphNode = onnx.INodeProto;
export type Tensor = onnx.ITensorProto;

/** Who makes and who takes each value, as the graph was when it was indexed. */
export interface GraphIndex {
  makerOf(value: string | undefined): GraphNode | undefined;
  /** The one node that takes the value; undefined when there are more, or the graph gives it out. */
  onlyTakerOf(value: string | undefined): GraphNode | undefined;
  /** A tensor the file holds; undefined for what is computed or supplied by the caller. */
  constant(value: string | undefined): Tensor | undefined;
}

export function indexGraph(graph: Graph): GraphIndex {
  const nodes = graph.node ?? [];
  const graphInputs = new Set(graph.input?.map(({ name }) => name));
  const graphOutputs = new Set(graph.output?.map(({ name }) => name));
  const makers = new Map(nodes.flatMap((node) => outputsOf(node).map((value) => [value, node])));
  const takers = new Map<string, GraphNode[]>();
  for (const node of nodes) {
    for (const value of inputsOf(node)) takers.set(value, [...(takers.get(value) ?? []), node]);
  }
  const constants = new Map(graph.initializer?.map((tensor) => [tensor.name, tensor]));
  return {
    makerOf: (value = '') => makers.get(value),
    onlyTakerOf: (value = '') => {
      const [taker, ...others] = takers.get(value) ?? [];
      return others.length > 0 || graphOutputs.has(value) ? undefined : taker;
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

/** Throws an Error for a tensor that does not hold its values as float32. */
export function readFloats(tensor: Tensor): Float32Array {
  const { dataType, rawData, floatData } = tensor;
  // Copied, as the bytes need not begin where a float may.
  const values = rawData?.length
    ? new Float32Array(Uint8Array.from(rawData).buffer)
    : Float32Array.from(floatData ?? []);
  const size = dimensionsOf(tensor).reduce((a, b) => a * b, 1);
  if (dataType === TensorProto.DataType.FLOAT && values.length === size) return values;
  throw new Error(`the tensor ${tensor.name} does not hold ${size} float32 values`);
}

export function floatTensor(name: string, dims: number[], values: Float32Array): Tensor {
  const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return TensorProto.create({ name, dims, dataType: TensorProto.DataType.FLOAT, rawData });
}
