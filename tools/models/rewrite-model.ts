import onnxProto, { type onnx } from 'onnx-proto';
import { padChannels } from './pad-channels.js';
import { replacePRelu } from './replace-prelu.js';

const { ModelProto, TensorShapeProto } = onnxProto.onnx;

/**
 * The published file as it is run: any batch, and the same function in nodes that ONNX Runtime
 * computes faster. Files that somebody brings themselves are never rewritten.
 *
 * Same bytes in, same bytes out, and a second time changes nothing: the manifest's `sha256` is that
 * of the result, so it also tells which rewriting a file has had. Whoever changes a step changes
 * that hash, and every models folder is prepared anew at its next start.
 */
export function rewriteModel(published: Uint8Array): Uint8Array {
  return change(published, (graph) => {
    freeBatchDimension(graph);
    // In this order: what replaces a PRelu has as many channels as it had.
    padChannels(graph);
    replacePRelu(graph);
  });
}

/** The published file, able to take any batch and otherwise as it is: what the rewriting is compared with. */
export function freeBatchOf(published: Uint8Array): Uint8Array {
  return change(published, freeBatchDimension);
}

function change(file: Uint8Array, step: (graph: onnx.IGraphProto) => void): Uint8Array {
  const model = ModelProto.decode(file);
  if (!model.graph?.input?.length) throw new Error('the file is not an ONNX model');
  step(model.graph);
  return ModelProto.encode(model).finish();
}

/**
 * The published graphs take one image a run. Giving the first dimension of their inputs and
 * outputs a name instead of the number 1 lets them take any batch, and leaves each image's result
 * unchanged to the bit. Changes the graph in place.
 */
function freeBatchDimension(graph: onnx.IGraphProto): void {
  for (const value of [...(graph.input ?? []), ...(graph.output ?? [])]) nameFirstDimension(value);
  // Shapes noted for the values in between are those of one image; they are inferred anew.
  graph.valueInfo = [];
}

function nameFirstDimension(value: onnx.IValueInfoProto): void {
  const dimensions = value.type?.tensorType?.shape?.dim;
  if (!dimensions?.[0]) throw new Error(`${value.name} has no first dimension`);
  dimensions[0] = TensorShapeProto.Dimension.create({ dimParam: 'batch' });
}
