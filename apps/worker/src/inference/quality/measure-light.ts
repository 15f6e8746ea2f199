import { type FaceGrid, GRID } from './face-grid.js';

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
