/** A rectangle in pixels of the small canvas. */
export interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Luma of a picture, 0..255, row by row. */
export interface Luma {
  pixels: Uint8Array;
  width: number;
  height: number;
}

export interface FrameMeasures {
  /** 95 % of the area is darker than this luma, 0..255. */
  lightest: number;
  /** The share of the area that is overexposed, 0..1. */
  white: number;
  /** The variance of the second derivative, relative to that of the luma. Noise raises it. */
  sharpness: number;
  /** The mean change of the luma since the frame before, 0..255, without a change of exposure. */
  motion: number;
}

/**
 * Light as the gateway judges it (packages/core/src/domain/quality.ts). Motion and sharpness are measured on 160 pixels,
 * which hide a slight blur: they keep out what is plainly bad, and the gateway judges the rest.
 */
const limits = { minLightest: 70, maxWhite: 0.2, minSharpness: 0.015, maxMotion: 7 };

export type FrameWeakness =
  'image_too_dark' | 'image_too_bright' | 'image_too_blurry' | 'hold_still';

export function findWeakness(measures: FrameMeasures): FrameWeakness | undefined {
  if (measures.lightest < limits.minLightest) return 'image_too_dark';
  if (measures.white > limits.maxWhite) return 'image_too_bright';
  if (measures.motion > limits.maxMotion) return 'hold_still';
  if (measures.sharpness < limits.minSharpness) return 'image_too_blurry';
  return undefined;
}

/** Sharp and still frames first: a score to compare frames of one camera and one person. */
export function scoreFrame({ sharpness, motion }: FrameMeasures): number {
  return sharpness / (1 + motion);
}

/** By the weights of ITU-R BT.601. `rgba` has `width * height` pixels. */
export function toLuma(rgba: Uint8ClampedArray, width: number, height: number): Luma {
  const pixels = new Uint8Array(width * height);
  for (let i = 0, p = 0; i < pixels.length; i += 1, p += 4) {
    pixels[i] = 0.299 * rgba[p]! + 0.587 * rgba[p + 1]! + 0.114 * rgba[p + 2]!;
  }
  return { pixels, width, height };
}

/** Measures an area that lies inside the picture and has at least 3x3 pixels. */
export function measureFrame(luma: Luma, area: Area, before?: Luma): FrameMeasures {
  const { width } = luma;
  const histogram = new Uint32Array(256);
  let [count, sum, squares, bends, bendSquares] = [0, 0, 0, 0, 0];
  for (let y = area.y + 1; y < area.y + area.height - 1; y += 1) {
    for (let x = area.x + 1; x < area.x + area.width - 1; x += 1) {
      const at = y * width + x;
      const value = luma.pixels[at]!;
      const bend =
        4 * value -
        luma.pixels[at - 1]! -
        luma.pixels[at + 1]! -
        luma.pixels[at - width]! -
        luma.pixels[at + width]!;
      histogram[value]! += 1;
      count += 1;
      sum += value;
      squares += value * value;
      bends += bend;
      bendSquares += bend * bend;
    }
  }
  const variance = (total: number, ofSquares: number) => ofSquares / count - (total / count) ** 2;
  return {
    lightest: percentile(histogram, 0.95 * count),
    white: histogram.subarray(250).reduce((total, n) => total + n, 0) / count,
    sharpness: variance(bends, bendSquares) / Math.max(variance(sum, squares), 25),
    motion: before ? measureMotion(luma, before, area) : 0,
  };
}

function percentile(histogram: Uint32Array, rank: number): number {
  let seen = 0;
  return histogram.findIndex((n) => (seen += n) >= rank);
}

/** The mean change is subtracted: a camera that adapts its exposure does not move. */
function measureMotion(luma: Luma, before: Luma, area: Area): number {
  const changes: number[] = [];
  for (let y = area.y; y < area.y + area.height; y += 2) {
    for (let x = area.x; x < area.x + area.width; x += 2) {
      const at = y * luma.width + x;
      changes.push(luma.pixels[at]! - before.pixels[at]!);
    }
  }
  const mean = changes.reduce((sum, change) => sum + change, 0) / changes.length;
  return changes.reduce((sum, change) => sum + Math.abs(change - mean), 0) / changes.length;
}
