import type { ModelOutputs } from '../onnx/open-session.js';

/** What a stage reads of a run. */
export interface ExpectedOutput {
  model: { name: string };
  /** Name of the output in the model. */
  output: string;
  /** Its sizes, images first; `undefined` for one that may be any. */
  shape: (number | undefined)[];
}

/**
 * The values of one output. Throws an Error when the model does not give it, or gives another shape,
 * or a value that is not finite: NaN is below no threshold, and would pass for a face or for LOW.
 */
export function readOutput(outputs: ModelOutputs, expected: ExpectedOutput): Float32Array {
  const { model, output, shape } = expected;
  const found = outputs[output];
  if (!found) {
    const names = Object.keys(outputs).join(', ');
    throw new Error(`model ${model.name} has no output "${output}", its outputs are: ${names}`);
  }
  const fits =
    found.shape.length === shape.length &&
    shape.every((size, axis) => size === undefined || size === found.shape[axis]);
  if (!fits) {
    const sizes = shape.map((size) => size ?? 'any').join(', ');
    throw new Error(
      `model ${model.name}: output "${output}" is [${found.shape.join(', ')}], expected [${sizes}]`,
    );
  }
  if (!areFinite(found.values)) {
    throw new Error(`model ${model.name}: output "${output}" holds a value that is not finite`);
  }
  return found.values;
}

/** A loop, as it is ten times as fast as `every`, and a detector gives 26,000 values an image. */
function areFinite(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}
