import type { Loops } from '#pixel-loops';
import { type ImageTensor, planesOf } from '../picture.js';
import { callLoop, type Lines, type LoopAddresses, PICTURE_BYTES } from './loop-memory.js';

/**
 * The loops over pixels, which are in assembly/pixel-loops.ts: see decision 0013. They check neither the
 * size of a picture nor that of a tensor.
 */

/** The pixels along one axis that each output pixel is made from: [length, taps]. */
export interface AxisTable {
  /** In the picture's array. */
  offsets: Int32Array;
  /** None for means, where all count the same. */
  weights?: Float32Array;
  taps: number;
}

/** What a loop reads. A pixel is at the sum of its offsets along both axes. */
export interface LoopSource {
  /** Never written to: what was copied for one call is used for the next. */
  pixels: Uint8Array;
  columns: AxisTable;
  rows: AxisTable;
}

const NO_WEIGHTS = new Float32Array(0);

/**
 * Draws into the tensor, from its pixel `first` on. Each pixel is the mean of four: the n-th of its
 * columns with the n-th of its rows.
 */
export function drawMeans(source: LoopSource, tensor: ImageTensor, first: number): void {
  const { width, height } = tensor.input;
  const end = first + width * (lengthOf(source.rows) - 1) + lengthOf(source.columns);
  if (end > width * height) throw new RangeError(`pixel ${end} is outside of ${width}x${height}`);
  callWith(source, tensor.values, (loops, at, placed) =>
    loops.meanOfFour(placed, putPlanes(at, tensor, first), at.scratch),
  );
}

/** Fills the tensor. Each pixel is the sum of its pixels, times the weights of column and row. */
export function drawBlend(source: LoopSource, tensor: ImageTensor): void {
  callWith(source, tensor.values, (loops, at, placed) =>
    loops.blend(placed, putPlanes(at, tensor, 0), at.scratch),
  );
}

/** [rows, columns]: the mean luma (0..255) of the pixels of each cell. */
export function meanLuma(source: LoopSource): Float32Array {
  const values = new Float32Array(lengthOf(source.columns) * lengthOf(source.rows));
  callWith(source, values, (loops, at, placed) => loops.meanLuma(placed, at.values));
  return values;
}

/** Bytes of a cell's gradient: x, y, squared length and nothing, as float32. */
export const GRADIENT_BYTES = 16;

/** Mirror axes on a grid of cells. */
export interface Mirrors {
  mirrors: {
    /** The reflection of a gradient: (x, y) becomes (-cos x - sin y, -sin x + cos y). */
    cos: number;
    sin: number;
    /** Its pairs. */
    first: number;
    count: number;
  }[];
  /** [pairs, 2]: a cell and its mirror image, times `GRADIENT_BYTES`. */
  pairs: Uint16Array;
}

/** How well the cells match their mirror images, for each mirror, -1..1: 1 for a perfect reflection. */
export function matchMirrored(gradients: Float32Array, { mirrors, pairs }: Mirrors): number[] {
  return callLoop({ tables: [pairs], values: gradients }, (loops, at) =>
    mirrors.map(({ cos, sin, first, count }) =>
      loops.matchMirrored(at.values, at.tables[0]! + 4 * first, count, cos, sin),
    ),
  );
}

/** Calls a loop with the address of the source, and a row of its output as scratch memory. */
function callWith(
  given: LoopSource,
  values: Float32Array,
  call: (loops: Loops, at: LoopAddresses, source: number) => void,
): void {
  const { pixels } = given;
  const axes: Axes = pixels.length > PICTURE_BYTES ? selectLines(given) : given;
  const { columns, rows, lines } = axes;
  const tables = [columns, rows].flatMap(({ offsets, weights = NO_WEIGHTS }) => [offsets, weights]);
  const scratchBytes = 16 * lengthOf(columns);
  callLoop({ pixels, lines, tables, values, scratchBytes }, (loops, at) =>
    call(loops, at, putSource(at, axes)),
  );
}

interface Axes {
  columns: AxisTable;
  rows: AxisTable;
  lines?: Lines;
}

/** The lines of a large picture from which something is read, and the axes in them. */
function selectLines({ columns, rows }: LoopSource): Axes {
  // The lines of a picture that is turned by 90 degrees are its columns.
  const areRows = spanOf(rows.offsets).length > spanOf(columns.offsets).length;
  const [across, along] = areRows ? [rows, columns] : [columns, rows];
  const { least, length } = spanOf(along.offsets);
  const bytes = length + 3;
  const starts = [...new Set(across.offsets)];
  const places = new Map(starts.map((start, i) => [start, i * bytes]));
  const movedAcross = { ...across, offsets: across.offsets.map((start) => places.get(start)!) };
  const movedAlong = { ...along, offsets: along.offsets.map((offset) => offset - least) };
  const lines = { starts: starts.map((start) => start + least), bytes };
  return areRows
    ? { columns: movedAlong, rows: movedAcross, lines }
    : { columns: movedAcross, rows: movedAlong, lines };
}

/** A loop, because an axis may have more offsets than a call has arguments. */
function spanOf(offsets: Int32Array): { least: number; length: number } {
  let [least, most] = [Infinity, -Infinity];
  for (const offset of offsets) {
    least = Math.min(least, offset);
    most = Math.max(most, offset);
  }
  return { least, length: most - least };
}

/** Puts a `Source` with its axes, whose offsets and weights are the tables. */
function putSource({ pixels, tables, put }: LoopAddresses, { columns, rows }: Axes): number {
  const axes = [columns, rows].map((axis, i) =>
    put(Int32Array.of(tables[2 * i]!, tables[2 * i + 1]!, axis.taps, lengthOf(axis))),
  );
  return put(Int32Array.of(pixels, ...axes));
}

function lengthOf({ offsets, taps }: AxisTable): number {
  return offsets.length / taps;
}

/** Puts the `Planes` of a tensor from its pixel `first` on. */
function putPlanes({ values, put }: LoopAddresses, tensor: ImageTensor, first: number): number {
  const planes = planesOf(tensor);
  const addresses = planes.map(
    (plane) => values + plane.values.byteOffset - tensor.values.byteOffset + 4 * first,
  );
  const address = put(Int32Array.of(...addresses, 4 * tensor.input.width));
  put(Float32Array.from([...planes.map(({ multiply }) => multiply), 0]));
  put(Float32Array.from([...planes.map(({ subtract, multiply }) => -subtract * multiply), 0]));
  return address;
}
