import { squareAround } from './crop-view.js';
import { type AxisTable, meanLuma } from './loops/pixel-loops.js';
import { axesOf, type Box, type Picture, type PictureAxis } from './picture.js';

/** Cells along each side of a face grid. */
export const GRID = 64;

/** Most sample points of a cell along each side: a large face costs as much as one of 192 pixels. */
const MAX_POINTS = 3;

/** A half-open range of columns or rows. */
export interface Range {
  from: number;
  to: number;
}

/**
 * The brightness of a face at a fixed size, so that the same face gives the same measures whatever
 * the size of its picture. A cell is 1/64 of the face, which is its box's longer side.
 */
export interface FaceGrid {
  /** [GRID, GRID]: luma of 0..255 in the square around the face box. Edge pixels repeat outside. */
  luma: Float32Array;
  /** The cells inside the picture. */
  columns: Range;
  rows: Range;
}

/**
 * Each cell is the mean of up to 3x3 evenly spread pixels. That is enough against noise, and a
 * blurred picture has no detail between the points that could be missed.
 */
export function sampleFace(picture: Picture, face: Box): FaceGrid {
  const { pixels, width, height } = picture;
  const { left, top, side } = squareAround(face, 1);
  const axes = axesOf(picture);
  const luma = meanLuma({
    pixels,
    columns: placePoints({ from: left, side }, axes.columns),
    rows: placePoints({ from: top, side }, axes.rows),
  });
  return {
    luma,
    columns: cellsInside(left, side, width),
    rows: cellsInside(top, side, height),
  };
}

interface Line {
  from: number;
  side: number;
}

/** The points of each cell along one axis. */
function placePoints({ from, side }: Line, { length, start, stride }: PictureAxis): AxisTable {
  const taps = Math.min(MAX_POINTS, Math.max(1, Math.ceil(side / GRID)));
  const step = side / (GRID * taps);
  const offsets = Int32Array.from({ length: GRID * taps }, (_, i) => {
    const pixel = Math.floor(from + (i + 0.5) * step);
    return start + stride * Math.min(Math.max(pixel, 0), length - 1);
  });
  return { offsets, taps };
}

/** The cells that lie wholly inside the picture. */
function cellsInside(start: number, side: number, length: number): Range {
  const cell = side / GRID;
  const from = Math.ceil(Math.max(0, -start / cell));
  const to = Math.floor(Math.min(GRID, (length - start) / cell));
  return { from: Math.min(from, GRID), to: Math.max(to, 0) };
}

/** The grid [side, side] blurred with the weights 1 2 1 along both axes. Edge cells repeat outside. */
export function smoothen(values: Float32Array, side: number): Float32Array {
  const across = new Float32Array(values.length);
  const smooth = new Float32Array(values.length);
  const last = side - 1;
  for (let i = 0; i < values.length; i++) {
    const column = i % side;
    const left = values[column > 0 ? i - 1 : i]!;
    const right = values[column < last ? i + 1 : i]!;
    across[i] = (left + 2 * values[i]! + right) / 4;
  }
  for (let i = 0; i < values.length; i++) {
    const above = across[i >= side ? i - side : i]!;
    const below = across[i < values.length - side ? i + side : i]!;
    smooth[i] = (above + 2 * across[i]! + below) / 4;
  }
  return smooth;
}

/** Half axes of the ellipse inside the face box, as shares of the face: skin, without hair. */
const HALF_WIDTH = 0.32;
const HALF_HEIGHT = 0.4;

/** The share of the face's cells that are darker than `lightest`. */
const LIGHTEST_SHARE = 0.95;
/** Cells from this luma on are overexposed: in them a sensor or a JPEG has lost the skin's texture. */
const WHITE = 247;

export interface Light {
  /** 95 % of the face is darker than this luma, 0..255. */
  lightest: number;
  /** The share of overexposed cells, 0..1. */
  white: number;
}

/**
 * The light on a face. The 95th percentile is its highlights, which every skin has: a mean would take
 * dark skin for a dark picture.
 */
export function measureLight({ luma, columns, rows }: FaceGrid): Light {
  const histogram = new Uint32Array(256);
  let cells = 0;
  for (let row = rows.from; row < rows.to; row++) {
    for (let column = columns.from; column < columns.to; column++) {
      if (!isSkin(column, row)) continue;
      histogram[Math.round(luma[row * GRID + column]!)]! += 1;
      cells += 1;
    }
  }
  const white = histogram.subarray(WHITE).reduce((a, b) => a + b);
  return {
    lightest: percentile(histogram, LIGHTEST_SHARE * cells),
    white: cells > 0 ? Math.round((1e4 * white) / cells) / 1e4 : 0,
  };
}

function isSkin(column: number, row: number): boolean {
  const right = ((column + 0.5) / GRID - 0.5) / HALF_WIDTH;
  const down = ((row + 0.5) / GRID - 0.5) / HALF_HEIGHT;
  return right * right + down * down <= 1;
}

/** The level below which this number of cells is. */
function percentile(histogram: Uint32Array, cells: number): number {
  let below = 0;
  for (let level = 0; level < histogram.length; level++) {
    below += histogram[level]!;
    if (below >= cells) return level;
  }
  return histogram.length - 1;
}

/** The rows with eyes and brows, and those of the cheeks below them, in a face that is upright. */
const EYES: Range = { from: 18, to: 28 };
const CHEEKS: Range = { from: 32, to: 42 };
const TEMPLES: Range = { from: 14, to: 50 };

/**
 * How much darker the eyes are than the cheeks, in standard deviations of the face's luma: above 0
 * for most upright faces, and below for those upside down.
 */
export function measureEyeShade({ luma }: FaceGrid): number {
  const [eyes, cheeks] = [EYES, CHEEKS].map((rows) => mean(betweenTemples(luma, rows)));
  const all = betweenTemples(luma, { from: 0, to: GRID });
  const deviation = Math.sqrt(Math.max(0, mean(all.map((level) => level ** 2)) - mean(all) ** 2));
  // One level is added, so that noise on a flat area stays small.
  return (cheeks! - eyes!) / (deviation + 1);
}

function betweenTemples(luma: Float32Array, { from, to }: Range): number[] {
  const rows = Array.from({ length: to - from }, (_, i) => GRID * (from + i));
  return rows.flatMap((row) => [...luma.subarray(row + TEMPLES.from, row + TEMPLES.to)]);
}

function mean(values: number[]): number {
  return values.reduce((a, b) => a + b) / values.length;
}

/** Variance in square cells of the blur that `smoothen` adds, twice. */
const ADDED_VARIANCE = 1;
/** The widest blur that is measured, as a share of the face. */
const MAX_BLUR = 0.1;

/**
 * How blurred the edges of a face are: the standard deviation of the blur as a share of the face's
 * longer side, about 0.014 for a sharp photo, which is the size of a cell.
 *
 * A known blur weakens a sharp edge much and a soft one little, so the ratio of the gradients before
 * and after it gives the width of the edges. Each cell counts by the square of its gradient, as the
 * edges of eyes, nose and mouth are measured best, and the energy of the noise is subtracted, which
 * would pass for sharpness.
 */
export function measureBlur({ luma, columns, rows }: FaceGrid): number {
  const blurred = smoothen(smoothen(luma, GRID), GRID);
  const detail = new Float32Array(GRID * Math.ceil(GRID / NOISE_STEP));
  let cells = 0;
  let before = 0;
  let after = 0;
  let weights = 0;
  // Three cells from the picture's edge, which the added blur repeats outwards.
  for (let row = rows.from + 3; row < rows.to - 3; row++) {
    for (let column = columns.from + 3; column < columns.to - 3; column++) {
      const at = row * GRID + column;
      const weight = gradientEnergy(blurred, at);
      before += weight * gradientEnergy(luma, at);
      after += weight * weight;
      weights += weight;
      if (row % NOISE_STEP === 0) detail[cells++] = Math.abs(noiseAt(luma, at));
    }
  }
  const noise = NOISE_GRADIENT * varianceOf(detail.subarray(0, cells));
  // The gradient of an edge is inversely proportional to its width.
  const ratio = (before - noise * weights) / after;
  if (!(ratio > 1)) return MAX_BLUR;
  return Math.min(MAX_BLUR, Math.sqrt(ADDED_VARIANCE / (ratio - 1)) / GRID);
}

/** The noise of one row in this many is read: sorting all would take longer than the rest. */
const NOISE_STEP = 5;
/** The gradient energy of noise with a variance of 1: two differences of two cells. */
const NOISE_GRADIENT = 4;
/** The standard deviation of `noiseAt` for noise with a variance of 1: the root of its squared weights. */
const NOISE_GAIN = 6;
/** The median of absolute values of normal noise, as a share of its standard deviation. */
const MEDIAN_GAIN = 0.6745;

/** The second difference along both axes, in which edges cancel out (Immerkaer 1996). */
function noiseAt(grid: Float32Array, at: number): number {
  const sides = grid[at - 1]! + grid[at + 1]! + grid[at - GRID]! + grid[at + GRID]!;
  const corners =
    grid[at - GRID - 1]! + grid[at - GRID + 1]! + grid[at + GRID - 1]! + grid[at + GRID + 1]!;
  return 4 * grid[at]! - 2 * sides + corners;
}

/** From the median, which the few cells with detail do not change. */
function varianceOf(absolutes: Float32Array): number {
  const median = absolutes.toSorted()[Math.floor(absolutes.length / 2)] ?? 0;
  return (median / (NOISE_GAIN * MEDIAN_GAIN)) ** 2;
}

function gradientEnergy(grid: Float32Array, at: number): number {
  const right = grid[at + 1]! - grid[at - 1]!;
  const down = grid[at + GRID]! - grid[at - GRID]!;
  return right * right + down * down;
}
