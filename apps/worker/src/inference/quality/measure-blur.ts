import { type FaceGrid, GRID, smoothen } from './face-grid.js';

/** Variance in square cells of the blur that `smoothen` adds, twice. */
const ADDED_VARIANCE = 1;
/** The widest blur that is told apart, as a share of the face. */
const MAX_BLUR = 0.1;

/**
 * How blurred the edges of a face are: the standard deviation of the blur as a share of the face's
 * longer side, about 0.014 for a sharp photo, which is the size of a cell.
 *
 * A known blur weakens a sharp edge much and a soft one little, so the ratio of the gradients before
 * and after it gives the width of the edges. Each cell counts by the square of its gradient, as the
 * edges of eyes, nose and mouth are told best, and the energy of the noise is subtracted, which
 * would pass for sharpness.
 */
export function measureBlur({ luma, columns, rows }: FaceGrid): number {
  const blurred = smoothen(smoothen(luma, GRID), GRID);
  const detail = new Float32Array((GRID * GRID) / NOISE_STEP + 1);
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
      if (at % NOISE_STEP === 0) detail[cells++] = Math.abs(noiseAt(luma, at));
    }
  }
  const noise = NOISE_GRADIENT * varianceOf(detail.subarray(0, cells));
  // The gradient of an edge is inversely proportional to its width.
  const ratio = (before - noise * weights) / after;
  if (!(ratio > 1)) return MAX_BLUR;
  return Math.min(MAX_BLUR, Math.sqrt(ADDED_VARIANCE / (ratio - 1)) / GRID);
}

/** The noise of one cell in this many is read: sorting all would take longer than the rest. */
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
