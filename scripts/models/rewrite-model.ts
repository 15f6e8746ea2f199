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
  const model = ModelProto.decode(published);
  if (!model.graph?.input?.length) throw new Error('the file is not an ONNX model');
  freeBatchDimension(model.graph);
  // In this order: what replaces a PRelu has as many channels as it had.
  padChannels(model.graph);
  replacePRelu(model.graph);
  return ModelProto.encode(model).finish();
}
