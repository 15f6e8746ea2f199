import onnxProto from 'onnx-proto';
import { freeBatchDimension } from './free-batch-dimension.js';
import { padChannels } from './pad-channels.js';
import { replacePRelu } from './replace-prelu.js';

const { ModelProto } = onnxProto.onnx;

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

function change(file: Uint8Array, step: (graph: onnxProto.onnx.IGraphProto) => void): Uint8Array {
  const model = ModelProto.decode(file);
  if (!model.graph?.input?.length) throw new Error('the file is not an ONNX model');
  step(model.graph);
  return ModelProto.encode(model).finish();
}
