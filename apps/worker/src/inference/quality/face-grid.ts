import { squareAround } from '../crop-view.js';
import type { Box, Picture } from '../picture.js';

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
  const columns = placePoints({ start: left, side }, { length: width, stride: 3 });
  const rows = placePoints({ start: top, side }, { length: height, stride: 3 * width });
  const points = columns.length / GRID;
  const luma = new Float32Array(GRID * GRID);
  for (let cell = 0; cell < luma.length; cell++) {
    const firstRow = points * Math.floor(cell / GRID);
    const firstColumn = points * (cell % GRID);
    let sum = 0;
    for (let row = firstRow; row < firstRow + points; row++) {
      const rowStart = rows[row]!;
      for (let column = firstColumn; column < firstColumn + points; column++) {
        const at = rowStart + columns[column]!;
        // The weights of Rec. 601, times 256.
        sum += 77 * pixels[at]! + 150 * pixels[at + 1]! + 29 * pixels[at + 2]!;
      }
    }
    luma[cell] = sum / (256 * points * points);
  }
  return {
    luma,
    columns: cellsInside(left, side, width),
    rows: cellsInside(top, side, height),
  };
}

interface Line {
  start: number;
  side: number;
}

/** [GRID, points]: offsets in the picture's array of each cell's points along one axis. */
function placePoints(
  { start, side }: Line,
  { length, stride }: { length: number; stride: number },
): Int32Array {
  const points = Math.min(MAX_POINTS, Math.max(1, Math.ceil(side / GRID)));
  const step = side / (GRID * points);
  return Int32Array.from({ length: GRID * points }, (_, i) => {
    const pixel = Math.floor(start + (i + 0.5) * step);
    return stride * Math.min(Math.max(pixel, 0), length - 1);
  });
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
