import onnxProto from 'onnx-proto';
import type { Tensor } from './index-graph.js';

const { TensorProto } = onnxProto.onnx;

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
