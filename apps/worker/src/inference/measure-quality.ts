import { judgeQuality, type Quality, type QualityMeasures } from '@livegate/core/domain';
import { squareAround } from './crop-view.js';
import {
  type FaceGrid,
  GRID,
  measureBlur,
  measureLight,
  sampleFace,
  smoothen,
} from './face-grid.js';
import { GRADIENT_BYTES, matchMirrored, type Mirrors } from './loops/pixel-loops.js';
import { type Box, longerSide, type Picture, type Size } from './picture.js';

/** Scale of the widest view of the shipped classifier. */
const VIEW_SCALE = 2.7;

/**
 * Measures the picture of a face, after it was turned clockwise by `rotation` degrees. Costs less
 * than a millisecond, whatever the size of the picture.
 */
export function measureQuality(
  picture: Picture,
  face: Box,
  rotation: QualityMeasures['rotation'] = 0,
): Quality {
  const grid = sampleFace(picture, face);
  const light = measureLight(grid);
  const measures: QualityMeasures = {
    inside: round(insideShare(picture, face, VIEW_SCALE)),
    margin: round(leastMargin(picture, face)),
    facePixels: Math.round(longerSide(face) * (picture.shrunkBy ?? 1)),
    offset: round(offsetOf(picture, face)),
    ...light,
    blur: round(measureBlur(grid)),
    turn: round(measureRoll(grid)),
    rotation,
  };
  return { codes: judgeQuality(measures), face: placeOf(picture, face), measures };
}

/** The share of the square around the face that is inside the picture. */
function insideShare({ width, height }: Size, face: Box, scale: number): number {
  const { left, top, side } = squareAround(face, scale);
  const across = Math.min(width, left + side) - Math.max(0, left);
  const down = Math.min(height, top + side) - Math.max(0, top);
  return (Math.max(0, across) * Math.max(0, down)) / (side * side);
}

function leastMargin({ width, height }: Size, { left, top, right, bottom }: Box): number {
  const size = Math.max(right - left, bottom - top);
  return Math.min(left, top, width - right, height - bottom) / size;
}

function offsetOf({ width, height }: Size, { left, top, right, bottom }: Box): number {
  const across = Math.abs((left + right) / 2 - width / 2) / width;
  const down = Math.abs((top + bottom) / 2 - height / 2) / height;
  return Math.max(across, down);
}

function placeOf({ width, height }: Size, { left, top, right, bottom }: Box): Quality['face'] {
  return {
    left: round(left / width),
    top: round(top / height),
    width: round((right - left) / width),
    height: round((bottom - top) / height),
  };
}

/** To 4 decimals: results are stored for a day, so each digit counts. */
function round(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}

/** Cells along each side of the coarser grid on which symmetry is judged: eyes, nose and mouth. */
const SIDE = GRID / 2;
const CENTER = (SIDE - 1) / 2;
/** In cells: a round window around the face, without its outline, hair and background. */
const RADIUS = 12;
/**
 * Windows at these distances from the center of the face, in cells. The detector's box of the same
 * face moves by as much, for example when the photo is mirrored.
 */
const WINDOWS = [
  { x: 0, y: 0 },
  { x: 0, y: -4 },
  { x: 0, y: 4 },
  { x: -4, y: 0 },
  { x: 4, y: 0 },
];
/** Tried tilts of the face's axis in degrees; positive is clockwise. */
const TILTS = steps(45, 7.5);
/** Tried distances of the axis from the window's center, in cells. */
const SHIFTS = steps(2, 1);
const AXES = TILTS.flatMap((tilt) => SHIFTS.map((shift) => ({ tilt, shift })));
/** An axis within this tilt counts as upright, one from `TURNED_FROM` on as turned. */
const UPRIGHT_UP_TO = 15;
const TURNED_FROM = 20;

/**
 * How much more symmetrical the face is about a turned axis than about an upright one: -2..2, about
 * -0.1 for an upright face, above 0.05 for most that are turned by 35 degrees or more.
 *
 * A face is the mirror image of itself about its axis, also with a beard or glasses, and gradients
 * show that even if one side is in shadow. The detector finds no eyes, whose line would be the roll.
 * A face and its mirror image have the same measure: cells, axes and windows are their own mirror
 * images.
 */
function measureRoll({ luma }: FaceGrid): number {
  mirrors ??= createMirrors();
  const matches = matchMirrored(readGradients(halve(luma)), mirrors);
  const differences = WINDOWS.map((_, i) =>
    compareTilts(matches.slice(i * AXES.length, (i + 1) * AXES.length)),
  );
  return differences.reduce((a, b) => a + b) / WINDOWS.length;
}

/** Of one window, whose matches are in the order of the axes. */
function compareTilts(matches: number[]): number {
  let upright = -Infinity;
  let turned = -Infinity;
  for (const [i, { tilt }] of AXES.entries()) {
    const match = matches[i]!;
    if (Math.abs(tilt) <= UPRIGHT_UP_TO) upright = Math.max(upright, match);
    if (Math.abs(tilt) >= TURNED_FROM) turned = Math.max(turned, match);
  }
  return turned - upright;
}

/** Made at the first use, and the same for every face. */
let mirrors: Mirrors | undefined;

/** Ordered by window, then by axis. */
function createMirrors(): Mirrors {
  const all: Mirrors['mirrors'] = [];
  const pairs: number[] = [];
  for (const window of WINDOWS) {
    const cells = cellsOf(window);
    for (const { tilt, shift } of AXES) {
      const angle = (tilt * Math.PI) / 180;
      const first = pairs.length / 2;
      addPairs(cells, { normal: { x: Math.cos(angle), y: Math.sin(angle) }, shift }, pairs);
      const count = pairs.length / 2 - first;
      all.push({ cos: Math.cos(2 * angle), sin: Math.sin(2 * angle), first, count });
    }
  }
  return { mirrors: all, pairs: new Uint16Array(pairs) };
}

function steps(max: number, step: number): number[] {
  return Array.from({ length: (2 * max) / step + 1 }, (_, i) => i * step - max);
}

interface Point {
  x: number;
  y: number;
}

interface Cell extends Point {
  /** Distances from the center of the window. */
  right: number;
  down: number;
}

/** One cell in four, as many on one side of the grid as on the other. */
function cellsOf(window: Point): Cell[] {
  const rows = inner.filter((y) => y % 2 === 0);
  const columns = inner.filter((x) => x % 4 === 0 || x % 4 === 3);
  const placed = (x: number, y: number) => {
    return { x, y, right: x - CENTER - window.x, down: y - CENTER - window.y };
  };
  return rows
    .flatMap((y) => columns.map((x) => placed(x, y)))
    .filter(({ right, down }) => Math.hypot(right, down) <= RADIUS);
}

interface Axis {
  normal: Point;
  shift: number;
}

/**
 * Pairs cells on both sides of the axis with the nearest cell to their image. An image on the border
 * of two cells has no nearest one, and would not be its own mirror image.
 */
function addPairs(cells: Cell[], { normal, shift }: Axis, pairs: number[]): void {
  for (const { x, y, right, down } of cells) {
    const distance = right * normal.x + down * normal.y - shift;
    const mirroredX = nearestCell(x - 2 * distance * normal.x);
    const mirroredY = nearestCell(y - 2 * distance * normal.y);
    if (Math.abs(distance) < 1 || !isInner(mirroredX) || !isInner(mirroredY)) continue;
    pairs.push(GRADIENT_BYTES * (y * SIDE + x), GRADIENT_BYTES * (mirroredY * SIDE + mirroredX));
  }
}

/** NaN on the border of two cells, but for rounding errors. */
function nearestCell(at: number): number {
  const cell = Math.round(at);
  return Math.abs(at - cell) < 0.5 - 1e-9 ? cell : NaN;
}

/** The rows or columns that have a gradient. */
const inner = Array.from({ length: SIDE - 2 }, (_, i) => i + 1);

function isInner(at: number): boolean {
  return at >= 1 && at < SIDE - 1;
}

/** [SIDE, SIDE]: the mean of 2x2 cells, smoothed. */
function halve(luma: Float32Array): Float32Array {
  const half = new Float32Array(SIDE * SIDE);
  for (let i = 0; i < half.length; i++) {
    const at = 2 * GRID * Math.floor(i / SIDE) + 2 * (i % SIDE);
    half[i] = (luma[at]! + luma[at + 1]! + luma[at + GRID]! + luma[at + GRID + 1]!) / 4;
  }
  return half;
}

/**
 * [SIDE, SIDE, 4]: x, y, squared length and nothing. Of each gradient's length the square root, so that
 * one hard edge does not outweigh the rest.
 */
function readGradients(half: Float32Array): Float32Array {
  const gradients = new Float32Array(4 * half.length);
  const smooth = smoothen(half, SIDE);
  for (let i = SIDE + 1; i < half.length - SIDE - 1; i++) {
    const right = smooth[i + 1]! - smooth[i - 1]!;
    const down = smooth[i + SIDE]! - smooth[i - SIDE]!;
    // Half a level is added, so that noise on a flat area stays small.
    const scale = 1 / Math.sqrt(Math.sqrt(right * right + down * down) + 0.5);
    gradients[4 * i] = scale * right;
    gradients[4 * i + 1] = scale * down;
    gradients[4 * i + 2] = scale * scale * (right * right + down * down);
  }
  return gradients;
}
