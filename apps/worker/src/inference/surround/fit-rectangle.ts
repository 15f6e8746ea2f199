import { type Point, turnBy } from '@livegate/core/domain';
import type { Box, Size } from '../picture.js';

/** A rectangle in pixels of the picture; `x` and `y` are its center. */
export interface Rectangle extends Size, Point {
  /** Degrees clockwise by which it is turned, from -45 to 45. */
  tilt: number;
}

/** Fewest points of an edge. */
const MIN_POINTS = 16;

/** Share of the traced points that are on the rectangle's sides. */
const MIN_ON_SIDES = 0.8;

/**
 * The same for a tilted rectangle with three long sides: a dark photo on black lacks a part of its
 * edge, and nothing else has three straight sides at right angles to each other, tilted.
 */
const MIN_ON_TILTED_SIDES = 0.6;
/** From this tilt on, in degrees. */
const MIN_TILT = 5;
/** Least share of the traced points on each of the three sides. */
const MIN_ON_LONG_SIDE = 0.1;

/** Shortest side of a content that is cut out, in pixels. */
const MIN_SIDE = 48;

/** A tilt up to this, in degrees, is a straight rectangle with noise on its edge. */
const MAX_STRAIGHT = 0.5;

/**
 * The rectangle that has the points on its sides. Points on the picture's own edge are not traced
 * from an edge of the content, but the rectangle contains them.
 */
export function fitRectangle(points: Point[], picture: Size): Rectangle | undefined {
  const edge = points.filter(
    ({ x, y }) => x > 1 && y > 1 && x < picture.width - 1 && y < picture.height - 1,
  );
  if (edge.length < MIN_POINTS) return undefined;
  const tolerance = 1.5 + 0.006 * Math.max(picture.width, picture.height);
  const misfit = (most: number) => (tilt: number) =>
    edge
      .map(distanceToSides(boundsAt(points, tilt), tilt))
      .reduce((sum, distance) => sum + Math.min(distance, most), 0);
  const coarse = leastOf(angles(-45, 45, 3), misfit(10 * tolerance));
  const closer = leastOf(angles(coarse - 3, coarse + 3, 0.5), misfit(3 * tolerance));
  const fine = leastOf(angles(closer - 0.5, closer + 0.5, 0.1), misfit(tolerance));
  const tilt = Math.abs(fine) <= MAX_STRAIGHT ? 0 : fine;
  const bounds = boundsAt(points, tilt);
  if (!areOnSides(edge, { bounds, tilt, tolerance }, picture)) return undefined;
  const width = bounds.right - bounds.left;
  const height = bounds.bottom - bounds.top;
  if (Math.min(width, height) < MIN_SIDE) return undefined;
  const middle = { x: (bounds.left + bounds.right) / 2, y: (bounds.top + bounds.bottom) / 2 };
  return { ...turnBy(tilt)(middle), width, height, tilt };
}

function areOnSides(
  edge: Point[],
  { bounds, tilt, tolerance }: { bounds: Box; tilt: number; tolerance: number },
  picture: Size,
): boolean {
  const { left, top, right, bottom } = bounds;
  const straight = edge.map(turnBy(-tilt));
  const share = (isOn: (point: Point) => boolean) => straight.filter(isOn).length / edge.length;
  const sides = [
    ({ x }: Point) => x - left <= tolerance,
    ({ x }: Point) => right - x <= tolerance,
    ({ y }: Point) => y - top <= tolerance,
    ({ y }: Point) => bottom - y <= tolerance,
  ];
  const onSides = share((point) => sides.some((isOn) => isOn(point)));
  if (onSides >= MIN_ON_SIDES) return true;
  const isLong = (isOn: (point: Point) => boolean) => share(isOn) >= MIN_ON_LONG_SIDE;
  const long = sides.filter(isLong).length;
  const isSmaller = (right - left) * (bottom - top) < picture.width * picture.height;
  const isTilted = Math.abs(tilt) >= MIN_TILT && isSmaller;
  return isTilted && long >= 3 && onSides >= MIN_ON_TILTED_SIDES;
}

function angles(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.round((to - from) / step) + 1 }, (_, i) => from + i * step);
}

function leastOf(values: number[], cost: (value: number) => number): number {
  const costs = values.map(cost);
  return values[costs.indexOf(Math.min(...costs))]!;
}

/** The bounds of the points on axes that are turned clockwise by `tilt`. */
function boundsAt(points: Point[], tilt: number): Box {
  const straighten = turnBy(-tilt);
  const bounds = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const point of points) {
    const { x, y } = straighten(point);
    bounds.left = Math.min(bounds.left, x);
    bounds.right = Math.max(bounds.right, x);
    bounds.top = Math.min(bounds.top, y);
    bounds.bottom = Math.max(bounds.bottom, y);
  }
  return bounds;
}

function distanceToSides({ left, top, right, bottom }: Box, tilt: number) {
  const straighten = turnBy(-tilt);
  return (point: Point): number => {
    const { x, y } = straighten(point);
    return Math.min(x - left, right - x, y - top, bottom - y);
  };
}
