import { squareAround } from '@livegate/core/domain';
import type { Fill, Resize, View } from '../models/catalogue.js';
import {
  axesOf,
  type Box,
  type ImageTensor,
  normalize,
  type Picture,
  type PictureAxis,
  planesOf,
  type Size,
} from './picture.js';

export { squareAround };

export interface Crop {
  face: Box;
  view: View;
  resize: Resize;
}

/**
 * Draws one view of a face into the tensor, from the pixels as they were decoded: the classifier judges
 * texture, which a picture that was shrunk before does not have any more.
 */
export function cropView(picture: Picture, crop: Crop, tensor: ImageTensor): void {
  const source = { pixels: picture.pixels, ...sampleCrop(picture, crop, tensor.input) };
  const isBilinear = source.columns.taps === 2 && source.rows.taps === 2;
  const blend = isBilinear ? blendFours : blendMany;
  const [red, green, blue] = planesOf(tensor);
  blend(source, [red.values, green.values, blue.values]);
  for (const plane of [red, green, blue]) normalize(plane);
}

/** Whether the view reaches beyond the picture's edges, where its fill is shown. */
export function leavesPicture(picture: Picture, crop: Crop, input: Size): boolean {
  const { columns, rows } = sampleCrop(picture, crop, input);
  return columns.leavesPicture || rows.leavesPicture;
}

interface SampledCrop {
  columns: SampledAxis;
  rows: SampledAxis;
}

function sampleCrop(picture: Picture, { face, view, resize }: Crop, input: Size): SampledCrop {
  const { left, top, side } = squareAround(face, view.scale);
  const { columns, rows } = axesOf(picture);
  const how = { fill: view.fill, resize };
  return {
    columns: sampleAxis({ start: left, length: side }, input.width, { ...columns, ...how }),
    rows: sampleAxis({ start: top, length: side }, input.height, { ...rows, ...how }),
  };
}

interface CropSource extends SampledCrop {
  pixels: Uint8Array;
}

type Planes = [reds: Float32Array, greens: Float32Array, blues: Float32Array];

/**
 * Blends 2x2 source pixels, a b above c d, to one pixel. Written out because this is the hottest
 * loop outside the models, and so twice as fast as `blendMany`.
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

/** Blends `rows.taps` times `columns.taps` source pixels to one pixel. */
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

/**
 * An interval of an axis in source pixels; pixel k covers k..k+1. It may reach beyond the picture.
 */
export interface Span {
  start: number;
  length: number;
}

export interface SourceAxis extends PictureAxis {
  fill: Fill;
  resize: Resize;
}

/** For each output pixel of an axis, the `taps` source pixels that it is blended from. */
export interface SampledAxis {
  taps: number;
  /** [outLength, taps]: offsets in the picture's array. */
  offsets: Int32Array;
  /** [outLength, taps]: weight of the source pixel in the output pixel, 0 for an unused one. */
  weights: Float64Array;
  /** Whether a pixel beyond the picture's edges has a weight; if not, the fill has no effect. */
  leavesPicture: boolean;
}

/**
 * Resamples one axis. Pixels outside the picture get the weight 0 (fill `zero`) or a mirrored
 * offset (`reflect`), so that the blending loops need no bounds checks.
 */
export function sampleAxis(span: Span, outLength: number, source: SourceAxis): SampledAxis {
  const step = span.length / outLength;
  // When enlarging, an output pixel covers less than a source pixel, and averaging areas would show
  // blocks: use bilinear, as OpenCV does.
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
      const weight = byArea ? areaWeight(pixel, from, to) : bilinearWeight(pixel, middle);
      setTap(axis, i * taps + tap, { pixel, weight, source });
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

/** The fraction of the interval that the pixel covers. */
function areaWeight(pixel: number, from: number, to: number): number {
  return Math.max(0, Math.min(to, pixel + 1) - Math.max(from, pixel)) / (to - from);
}

/** Linear weights of the two pixels whose centers (k + 0.5) enclose the point. */
function bilinearWeight(pixel: number, point: number): number {
  return 1 - Math.abs(point - 0.5 - pixel);
}

interface Tap {
  pixel: number;
  weight: number;
  source: SourceAxis;
}

function setTap(axis: SampledAxis, at: number, { pixel, weight, source }: Tap): void {
  const { start, stride, length, fill } = source;
  const isInside = pixel >= 0 && pixel < length;
  if (!isInside && weight > 0) axis.leavesPicture = true;
  const isUsed = isInside || fill === 'reflect';
  axis.offsets[at] = isUsed ? start + stride * reflect101(pixel, length) : start;
  axis.weights[at] = isUsed ? weight : 0;
}

/** Mirrors at the outermost pixels without repeating them: dcb|abcd|cba, as often as needed. */
function reflect101(pixel: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const offset = ((pixel % period) + period) % period;
  return Math.min(offset, period - offset);
}
