import { type Box, longerSide, type Rotation, type Size } from '@livegate/core/domain';
import type { ModelInput } from '../models/catalogue.js';
import type { ModelOutputs } from '../models/open-session.js';
import { allocateTensor } from './loops/loop-memory.js';

export { type Box, longerSide, type Size };

/**
 * A decoded, upright image in 8-bit sRGB. In `pixels`, the red of the pixel at column x and row y is
 * at `topLeft + x * toRight + y * toBelow`, followed by green and blue. So a picture is turned,
 * mirrored or cut without touching its pixels, and shares them with the whole one.
 */
export interface Picture extends Size {
  /**
   * Never written to. Spans its whole ArrayBuffer, which can be transferred to another thread, as one
   * picture only.
   */
  pixels: Uint8Array;
  topLeft: number;
  toRight: number;
  toBelow: number;
  /** How many pixels of the file one pixel has on each side, if it was shrunk. */
  shrunkBy?: number;
  /** Whether the image may be decoded once more, at a larger size. */
  isFirstLook?: boolean;
}

/** A rectangle of whole pixels. */
export interface Area extends Size {
  left: number;
  top: number;
}

export interface Face {
  box: Box;
  /** The detector's confidence, 0..1. */
  score: number;
}

/** Pixels [height, width, 3], row by row from the top left. */
export interface PixelRows extends Size {
  pixels: Uint8Array;
}

/** The picture whose rows are stored from its top to its bottom. */
export function fromRows({ pixels, width, height }: PixelRows): Picture {
  if (pixels.length !== 3 * width * height) {
    throw new RangeError(`${pixels.length} bytes are not a picture of ${width}x${height}`);
  }
  return { pixels, width, height, topLeft: 0, toRight: 3, toBelow: 3 * width };
}

/** The columns or the rows of a picture. */
export interface PictureAxis {
  /** Pixels. */
  length: number;
  /** Offset of the first pixel. A pixel's offset is the sum of those along both axes. */
  start: number;
  /** Offset from one pixel to the next. */
  stride: number;
}

/** The offset of the first pixel counts once, along the rows. */
export function axesOf(picture: Picture): { columns: PictureAxis; rows: PictureAxis } {
  return {
    columns: { length: picture.width, start: 0, stride: picture.toRight },
    rows: { length: picture.height, start: picture.topLeft, stride: picture.toBelow },
  };
}

/** The picture turned clockwise by `rotation`, in the same memory. */
export function turnPicture(picture: Picture, rotation: Rotation): Picture {
  if (rotation === 0) return picture;
  const { width, height, topLeft, toRight, toBelow } = picture;
  const quarter = {
    ...picture,
    width: height,
    height: width,
    topLeft: topLeft + (height - 1) * toBelow,
    toRight: -toBelow,
    toBelow: toRight,
  };
  return turnPicture(quarter, (rotation - 90) as Rotation);
}

/** The picture with left and right exchanged, in the same memory. */
export function mirrorPicture(picture: Picture): Picture {
  const { width, topLeft, toRight } = picture;
  return { ...picture, topLeft: topLeft + (width - 1) * toRight, toRight: -toRight };
}

/** A part of the picture, in the same memory. */
export function cutPicture(picture: Picture, { left, top, width, height }: Area): Picture {
  const topLeft = picture.topLeft + left * picture.toRight + top * picture.toBelow;
  return { ...picture, width, height, topLeft };
}

/** One image in a batch: float32 [3, height, width] in the model's channel order. */
export interface ImageTensor {
  values: Float32Array;
  input: ModelInput;
}

/**
 * One color channel, [height, width]. The model's input is (value - subtract) * multiply of 0..255.
 */
export interface Plane {
  values: Float32Array;
  subtract: number;
  multiply: number;
}

/** A batch tensor [n, 3, height, width], and its images as views of the same memory. */
export interface BatchTensor {
  /** May be longer than its images: `reuseBatch` pads it. */
  batch: Float32Array;
  images: ImageTensor[];
}

/** Returns the tensor for a run of `count` images. */
export type TakeBatch = (count: number) => BatchTensor;

/** Allocates a tensor of zeros. */
export function allocateBatch(input: ModelInput, count: number): BatchTensor {
  return splitBatch(new Float32Array(count * sizeOf(input)), input, count);
}

/** Returns the tensor size for a run of `count` images: `count`, or more when padded. */
export type PadRun = (count: number) => number;

/**
 * Reuses one memory for successive runs, which find the values of the previous run in it.
 * Allocating megabytes for each image instead takes a twentieth of its time, for clearing and
 * garbage collection.
 */
export function reuseBatch(input: ModelInput, padRun: PadRun = (count) => count): TakeBatch {
  let memory = allocateTensor(0);
  return (count) => {
    const length = padRun(count) * sizeOf(input);
    if (memory.length < length) memory = allocateTensor(length);
    return splitBatch(memory.subarray(0, length), input, count);
  };
}

function splitBatch(batch: Float32Array, input: ModelInput, count: number): BatchTensor {
  const size = sizeOf(input);
  const images = Array.from({ length: count }, (_, i) => ({
    values: batch.subarray(i * size, (i + 1) * size),
    input,
  }));
  return { batch, images };
}

function sizeOf({ width, height }: ModelInput): number {
  return 3 * width * height;
}

/** The red, green and blue channel of the tensor, as views of its memory. */
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

/** The output that a stage reads from a run. */
export interface ExpectedOutput {
  model: { name: string };
  /** Name of the output in the model. */
  output: string;
  /** The expected shape, images first; `undefined` allows any size. */
  shape: (number | undefined)[];
}

/**
 * The values of one output. Throws an Error when the output is missing, has another shape, or
 * contains a value that is not finite: comparisons with NaN are false, so it would pass for a face
 * or for LOW.
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
    throw new Error(`model ${model.name}: output "${output}" contains a value that is not finite`);
  }
  return found.values;
}

/**
 * A loop, because it is ten times as fast as `every`: a detector returns 26,000 values an image.
 */
function areFinite(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}
