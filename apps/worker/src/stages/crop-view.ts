import type { Resize, View } from '../model-manifest.js';
import { normalize, planesOf } from './image-tensor.js';
import type { ImageTensor } from './image-tensor.js';
import { longerSide } from './picture.js';
import type { Box, Picture, Size } from './picture.js';
import { sampleAxis } from './sample-axis.js';
import type { SampledAxis } from './sample-axis.js';

export interface Crop {
  face: Box;
  view: View;
  resize: Resize;
}

/**
 * Fills the tensor with one view of a face, read from the full-resolution pixels: the classifier
 * judges texture, and a picture shrunk beforehand has lost what it looks for.
 */
export function cropView(picture: Picture, crop: Crop, tensor: ImageTensor): void {
  const source = { pixels: picture.pixels, ...sampleCrop(picture, crop, tensor.input) };
  const isBilinear = source.columns.taps === 2 && source.rows.taps === 2;
  const blend = isBilinear ? blendFours : blendMany;
  const [red, green, blue] = planesOf(tensor);
  blend(source, [red.values, green.values, blue.values]);
  for (const plane of [red, green, blue]) normalize(plane);
}

/** Whether the view shows anything beyond the picture's edges, where its fill decides. */
export function leavesPicture(picture: Size, crop: Crop, input: Size): boolean {
  const { columns, rows } = sampleCrop(picture, crop, input);
  return columns.leavesPicture || rows.leavesPicture;
}

/** A square of `scale` times the longer side of the box, around the box's centre. */
export function squareAround(box: Box, scale: number): { left: number; top: number; side: number } {
  const side = scale * longerSide(box);
  return {
    left: (box.left + box.right - side) / 2,
    top: (box.top + box.bottom - side) / 2,
    side,
  };
}

interface SampledCrop {
  columns: SampledAxis;
  rows: SampledAxis;
}

function sampleCrop(picture: Size, { face, view, resize }: Crop, input: Size): SampledCrop {
  const { left, top, side } = squareAround(face, view.scale);
  const how = { fill: view.fill, resize };
  const rowStride = 3 * picture.width;
  return {
    columns: sampleAxis({ start: left, length: side }, input.width, {
      length: picture.width,
      stride: 3,
      ...how,
    }),
    rows: sampleAxis({ start: top, length: side }, input.height, {
      length: picture.height,
      stride: rowStride,
      ...how,
    }),
  };
}

interface CropSource extends SampledCrop {
  pixels: Uint8Array;
}

type Planes = [reds: Float32Array, greens: Float32Array, blues: Float32Array];

/**
 * Two by two source pixels, a b above c d, make a pixel. Written out, as this is the busiest loop
 * outside the models: twice as fast as `blendMany`.
 */
function blendFours({ pixels, columns, rows }: CropSource, [reds, greens, blues]: Planes): void {
  const { offsets, weights } = columns;
  let at = 0;
  for (let row = 0; row < rows.offsets.length; row += 2) {
    const upper = rows.offsets[row]!;
    const lower = rows.offsets[row + 1]!;
    const ofUpper = rows.weights[row]!;
    const ofLower = rows.weights[row + 1]!;
    for (let column = 0; column < offsets.length; column += 2, at++) {
      const a = upper + offsets[column]!;
      const b = upper + offsets[column + 1]!;
      const c = lower + offsets[column]!;
      const d = lower + offsets[column + 1]!;
      const ofA = ofUpper * weights[column]!;
      const ofB = ofUpper * weights[column + 1]!;
      const ofC = ofLower * weights[column]!;
      const ofD = ofLower * weights[column + 1]!;
      reds[at] = ofA * pixels[a]! + ofB * pixels[b]! + ofC * pixels[c]! + ofD * pixels[d]!;
      greens[at] =
        ofA * pixels[a + 1]! + ofB * pixels[b + 1]! + ofC * pixels[c + 1]! + ofD * pixels[d + 1]!;
      blues[at] =
        ofA * pixels[a + 2]! + ofB * pixels[b + 2]! + ofC * pixels[c + 2]! + ofD * pixels[d + 2]!;
    }
  }
}

/** Any number of source pixels, as many as `rows` times `columns` have taps, make a pixel. */
function blendMany({ pixels, columns, rows }: CropSource, [reds, greens, blues]: Planes): void {
  const { taps, offsets, weights } = columns;
  const width = offsets.length / taps;
  for (let at = 0; at < reds.length; at++) {
    const firstRow = rows.taps * Math.floor(at / width);
    const firstColumn = taps * (at % width);
    let red = 0;
    let green = 0;
    let blue = 0;
    for (let row = firstRow; row < firstRow + rows.taps; row++) {
      const rowStart = rows.offsets[row]!;
      const ofRow = rows.weights[row]!;
      for (let column = firstColumn; column < firstColumn + taps; column++) {
        const from = rowStart + offsets[column]!;
        const weight = ofRow * weights[column]!;
        red += weight * pixels[from]!;
        green += weight * pixels[from + 1]!;
        blue += weight * pixels[from + 2]!;
      }
    }
    reds[at] = red;
    greens[at] = green;
    blues[at] = blue;
  }
}
