import onnxProto from 'onnx-proto';
import type { onnx } from 'onnx-proto';

const { TensorShapeProto } = onnxProto.onnx;

/**
 * The published graphs take one image a run. Giving the first dimension of their inputs and
 * outputs a name instead of the number 1 lets them take any batch, and leaves each image's result
 * unchanged to the bit. Changes the graph in place.
 */
export function freeBatchDimension(graph: onnx.IGraphProto): void {
  for (const value of [...(graph.input ?? []), ...(graph.output ?? [])]) nameFirstDimension(value);
  // Shapes noted for the values in between are those of one image; they are inferred anew.
  graph.valueInfo = [];
}

function nameFirstDimension(value: onnx.IValueInfoProto): void {
  const dimensions = value.type?.tensorType?.shape?.dim;
  if (!dimensions?.[0]) throw new Error(`${value.name} has no first dimension`);
  dimensions[0] = TensorShapeProto.Dimension.create({ dimParam: 'batch' });
}
