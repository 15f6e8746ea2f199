import type { Fill, Resize } from '../model-manifest.js';

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
