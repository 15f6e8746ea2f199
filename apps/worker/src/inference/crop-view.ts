import type { Fill, Resize, View } from '../models/model-manifest.js';
import {
  type Box,
  type ImageTensor,
  longerSide,
  normalize,
  type Picture,
  planesOf,
  type Size,
} from './picture.js';

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

/** A stretch of an axis, in source pixels; pixel k covers k..k+1. It may leave the picture. */
export interface Span {
  start: number;
  length: number;
}

export interface SourceAxis {
  length: number;
  /** From one pixel of the axis to the next, in places of the picture's array. */
  stride: number;
  fill: Fill;
  resize: Resize;
}

/** For each output pixel of an axis, the `taps` source pixels that make it up. */
export interface SampledAxis {
  taps: number;
  /** [outLength, taps], in places of the picture's array. */
  offsets: Int32Array;
  /** [outLength, taps], the source pixel's share in the output pixel; 0 for those of no account. */
  weights: Float64Array;
  /** Whether anything beyond the picture's edges is seen; if not, all fills are the same. */
  leavesPicture: boolean;
}

/**
 * Resampling of one axis. What lies outside the picture is settled here (of no weight as zero, or
 * mirrored), so that whoever reads the pixels need not know that a picture has edges.
 */
export function sampleAxis(span: Span, outLength: number, source: SourceAxis): SampledAxis {
  const step = span.length / outLength;
  // Enlarging, an area is less than a pixel and would show as blocks: bilinear then, as in OpenCV.
  const byArea = source.resize === 'area' && step > 1;
  const taps = byArea ? Math.ceil(step) + 1 : 2;
  const axis = allocateAxis(outLength, taps);
  for (let i = 0; i < outLength; i++) {
    const from = span.start + i * step;
    const to = from + step;
    const middle = from + step / 2;
    const first = Math.floor(byArea ? from : middle - 0.5);
    for (let tap = 0; tap < taps; tap++) {
      const pixel = first + tap;
      const weight = byArea ? areaShare(pixel, from, to) : bilinearShare(pixel, middle);
      settle(axis, i * taps + tap, { pixel, weight, source });
    }
  }
  return axis;
}

function allocateAxis(outLength: number, taps: number): SampledAxis {
  return {
    taps,
    offsets: new Int32Array(outLength * taps),
    weights: new Float64Array(outLength * taps),
    leavesPicture: false,
  };
}

/** How much of the stretch the pixel fills. */
function areaShare(pixel: number, from: number, to: number): number {
  return Math.max(0, Math.min(to, pixel + 1) - Math.max(from, pixel)) / (to - from);
}

/** Of the two pixels whose centres (k + 0.5) enclose the point, the nearer one counts more. */
function bilinearShare(pixel: number, point: number): number {
  return 1 - Math.abs(point - 0.5 - pixel);
}

interface Tap {
  pixel: number;
  weight: number;
  source: SourceAxis;
}

function settle(axis: SampledAxis, at: number, { pixel, weight, source }: Tap): void {
  const isInside = pixel >= 0 && pixel < source.length;
  if (!isInside && weight > 0) axis.leavesPicture = true;
  if (!isInside && source.fill === 'zero') return;
  axis.offsets[at] = source.stride * (isInside ? pixel : reflect101(pixel, source.length));
  axis.weights[at] = weight;
}

/** Mirrors around the outermost pixels without repeating them: dcb|abcd|cba, as often as needed. */
function reflect101(pixel: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const offset = ((pixel % period) + period) % period;
  return Math.min(offset, period - offset);
}
