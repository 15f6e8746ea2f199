import type { ModelInput } from '../models/model-manifest.js';
import type { ModelOutputs } from '../models/open-session.js';

/** A decoded image, upright: 8-bit RGB, three bytes a pixel, row by row from the top left. */
export interface Picture {
  /** Once decoded, the whole of its ArrayBuffer, which may be transferred to another thread. */
  pixels: Uint8Array;
  width: number;
  height: number;
}

export interface Size {
  width: number;
  height: number;
}

/** A rectangle in pixels of the picture; it may reach beyond the picture's edges. */
export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Face {
  box: Box;
  /** The detector's confidence, 0..1. */
  score: number;
}

/** The longer side of a box: the measure of a face's size throughout. */
export function longerSide(box: Box): number {
  return Math.max(box.right - box.left, box.bottom - box.top);
}

/** One image's share of a batch: float32 [3, height, width] in the model's channel order. */
export interface ImageTensor {
  values: Float32Array;
  input: ModelInput;
}

/** One colour of an image, [height, width]. The model reads 0..255 as (value - subtract) * multiply. */
export interface Plane {
  values: Float32Array;
  subtract: number;
  multiply: number;
}

/** A batch tensor [count, 3, height, width], whole and as the images that share its memory. */
export interface BatchTensor {
  batch: Float32Array;
  images: ImageTensor[];
}

/** Room for a run of so many images. */
export type TakeBatch = (count: number) => BatchTensor;

/** New memory, all zeros. */
export function allocateBatch(input: ModelInput, count: number): BatchTensor {
  return splitBatch(new Float32Array(count * sizeOf(input)), input);
}

/**
 * For runs that follow each other: all have the same memory, and find there what the last one left.
 * Megabytes of new memory for each image cost a twentieth of its time, for clearing and collecting.
 */
export function reuseBatch(input: ModelInput): TakeBatch {
  let memory = new Float32Array(0);
  return (count) => {
    const length = count * sizeOf(input);
    if (memory.length < length) memory = new Float32Array(length);
    return splitBatch(memory.subarray(0, length), input);
  };
}

function splitBatch(batch: Float32Array, input: ModelInput): BatchTensor {
  const size = sizeOf(input);
  const images = Array.from({ length: batch.length / size }, (_, i) => ({
    values: batch.subarray(i * size, (i + 1) * size),
    input,
  }));
  return { batch, images };
}

function sizeOf({ width, height }: ModelInput): number {
  return 3 * width * height;
}

/** Red, green and blue, wherever the tensor has them; what is written there, is written to it. */
export function planesOf({ values, input }: ImageTensor): [Plane, Plane, Plane] {
  const size = input.width * input.height;
  const planeAt = (index: 0 | 1 | 2): Plane => ({
    values: values.subarray(index * size, (index + 1) * size),
    subtract: input.subtract[index],
    multiply: input.multiply[index],
  });
  const [first, second, third] = [planeAt(0), planeAt(1), planeAt(2)];
  return input.channels === 'RGB' ? [first, second, third] : [third, second, first];
}

/** From 0..255 to what the model reads. */
export function normalize({ values, subtract, multiply }: Plane): void {
  if (subtract === 0 && multiply === 1) return;
  for (let i = 0; i < values.length; i++) values[i] = (values[i]! - subtract) * multiply;
}

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
