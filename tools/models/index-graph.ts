import type { onnx } from 'onnx-proto';

export type Graph = onnx.IGraphProto;
export type GraphNode = onnx.INodeProto;
export type Tensor = onnx.ITensorProto;

/** Who makes and who takes each value, as the graph was when it was indexed. */
export interface GraphIndex {
  makerOf(value: string | undefined): GraphNode | undefined;
  /** The one node that takes the value; undefined when there are more, or the graph gives it out. */
  onlyTakerOf(value: string | undefined): GraphNode | undefined;
  /** A tensor the file holds; undefined for what is computed or can be fed from outside. */
  constant(value: string | undefined): Tensor | undefined;
}

export function indexGraph(graph: Graph): GraphIndex {
  const nodes = graph.node ?? [];
  const fed = new Set(graph.input?.map(({ name }) => name));
  const givenOut = new Set(graph.output?.map(({ name }) => name));
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
      return others.length > 0 || givenOut.has(value) ? undefined : taker;
    },
    constant: (value = '') => (fed.has(value) ? undefined : constants.get(value)),
  };
}

export function inputsOf(node: GraphNode): string[] {
  return node.input ?? [];
}

export function outputsOf(node: GraphNode): string[] {
  return node.output ?? [];
}
