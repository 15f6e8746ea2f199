import onnxProto, { type onnx } from 'onnx-proto';
import { padChannels } from './pad-channels.js';
import { replacePRelu } from './replace-prelu.js';

const { ModelProto, TensorShapeProto } = onnxProto.onnx;

/**
 * Rewrites a published model: any batch size, and the same function in nodes that ONNX Runtime runs
 * faster. The user's own models are never rewritten.
 *
 * Deterministic and idempotent. The manifest's `sha256` is that of the result, so a change of a step
 * changes the hash, and every models folder is prepared again at its next start.
 */
export function rewriteModel(published: Uint8Array): Uint8Array {
  return change(published, (graph) => {
    freeBatchDimension(graph);
    // Pad first: replacePRelu creates tensors with the channel count of the PRelu.
    padChannels(graph);
    replacePRelu(graph);
  });
}

/** The published model with a free batch size and no other change, to compare the rewritten one with. */
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
 * The published graphs have the batch size 1. A name instead of the number as the first dimension of
 * inputs and outputs allows any batch size and leaves every result identical. Changes the graph in place.
 */
function freeBatchDimension(graph: onnx.IGraphProto): void {
  for (const value of [...(graph.input ?? []), ...(graph.output ?? [])]) nameFirstDimension(value);
  // Intermediate shapes are recorded for one image; without them ONNX Runtime infers them.
  graph.valueInfo = [];
}

function nameFirstDimension(value: onnx.IValueInfoProto): void {
  const dimensions = value.type?.tensorType?.shape?.dim;
  if (!dimensions?.[0]) throw new Error(`${value.name} has no first dimension`);
  dimensions[0] = TensorShapeProto.Dimension.create({ dimParam: 'batch' });
}
