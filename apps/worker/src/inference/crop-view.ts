import { squareAround } from '@livegate/core/domain';
import type { Fill, Resize, View } from '../models/catalogue.js';
import { type AxisTable, drawBlend } from './loops/pixel-loops.js';
import {
  axesOf,
  type Box,
  type ImageTensor,
  type Picture,
  type PictureAxis,
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
  drawBlend({ pixels: picture.pixels, ...sampleCrop(picture, crop, tensor.input) }, tensor);
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

export interface SampledAxis extends AxisTable {
  /** 0 for an unused source pixel. */
  weights: Float32Array;
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
    weights: new Float32Array(outLength * taps),
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
