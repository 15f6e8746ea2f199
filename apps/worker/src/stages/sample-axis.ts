import type { Fill, Resize } from '../model-manifest.js';

/** A source pixel and its share in an output pixel. */
export interface Tap {
  pixel: number;
  weight: number;
}

/** A stretch of an axis, in source pixels; pixel k covers k..k+1. It may leave the picture. */
export interface Span {
  start: number;
  length: number;
}

export interface SourceAxis {
  length: number;
  fill: Fill;
  resize: Resize;
}

/**
 * Resampling of one axis: for each of `outLength` output pixels, the source pixels that make it up.
 * What lies outside the picture is settled here (left out as zero, or mirrored), so that whoever
 * reads the pixels need not know that a picture has edges.
 */
export function sampleAxis(span: Span, outLength: number, source: SourceAxis): Tap[][] {
  const step = span.length / outLength;
  // Enlarging, an area is less than a pixel and would show as blocks: bilinear then, as in OpenCV.
  const byArea = source.resize === 'area' && step > 1;
  return Array.from({ length: outLength }, (_, i) => {
    const from = span.start + i * step;
    const taps = byArea ? areaTaps(from, from + step) : bilinearTaps(from + step / 2);
    return taps.flatMap((tap) => settleOutside(tap, source));
  });
}

/** Every pixel the stretch touches, weighted by how much of the stretch it fills. */
function areaTaps(from: number, to: number): Tap[] {
  const taps: Tap[] = [];
  for (let pixel = Math.floor(from); pixel < to; pixel++) {
    const covered = Math.min(to, pixel + 1) - Math.max(from, pixel);
    taps.push({ pixel, weight: covered / (to - from) });
  }
  return taps;
}

/** The two pixels whose centres (k + 0.5) enclose the point. */
function bilinearTaps(point: number): Tap[] {
  const pixel = Math.floor(point - 0.5);
  const share = point - 0.5 - pixel;
  return [
    { pixel, weight: 1 - share },
    { pixel: pixel + 1, weight: share },
  ];
}

function settleOutside({ pixel, weight }: Tap, { length, fill }: SourceAxis): Tap[] {
  if (pixel >= 0 && pixel < length) return [{ pixel, weight }];
  return fill === 'zero' ? [] : [{ pixel: reflect101(pixel, length), weight }];
}

/** Mirrors around the outermost pixels without repeating them: dcb|abcd|cba, as often as needed. */
function reflect101(pixel: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const offset = ((pixel % period) + period) % period;
  return Math.min(offset, period - offset);
}
