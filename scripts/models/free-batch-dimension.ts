import onnxProto from 'onnx-proto';
import type { onnx } from 'onnx-proto';

const { ModelProto, TensorShapeProto } = onnxProto.onnx;

/**
 * The published graphs take one image a run. Giving the first dimension of their inputs and
 * outputs a name instead of the number 1 lets them take any batch, and leaves each image's result
 * unchanged to the bit.
 * Same bytes in, same bytes out: the manifest states the hash of the result.
 */
export function freeBatchDimension(model: Uint8Array): Uint8Array {
  const decoded = ModelProto.decode(model);
  const { graph } = decoded;
  if (!graph?.input || !graph.output) throw new Error('the file is not an ONNX model');
  for (const value of [...graph.input, ...graph.output]) nameFirstDimension(value);
  // Shapes noted for the values in between are those of one image; they are inferred anew.
  graph.valueInfo = [];
  return ModelProto.encode(decoded).finish();
}

function nameFirstDimension(value: onnx.IValueInfoProto): void {
  const dimensions = value.type?.tensorType?.shape?.dim;
  if (!dimensions?.[0]) throw new Error(`${value.name} has no first dimension`);
  dimensions[0] = TensorShapeProto.Dimension.create({ dimParam: 'batch' });
}
