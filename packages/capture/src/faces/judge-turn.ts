import type { Point } from './face-points.js';

export interface Turn {
  /** The slope of the line between the eyes, in degrees: the tilt to a shoulder. */
  roll: number;
  /** How far the tip of the nose is from the middle of the eyes along that line, in eye distances. */
  yaw: number;
}

/**
 * They left every face alone that looked into the camera, in one half of the labelled photos and in the
 * other; docs/reference/sessions.md has the figures. A nod is not judged: few photos show one.
 */
const limits = { roll: 22, yaw: 0.27 };

/** In the order of iBUG 300-W. The left one in the picture comes first. */
const LEFT_EYE = [36, 42] as const;
const RIGHT_EYE = [42, 48] as const;
const NOSE_TIP = 30;

/** Measures a head by the 68 points of its face. */
export function measureTurn(points: Point[]): Turn {
  const [left, right] = [mean(points.slice(...LEFT_EYE)), mean(points.slice(...RIGHT_EYE))];
  const [across, down] = [right.x - left.x, right.y - left.y];
  const nose = points[NOSE_TIP]!;
  const along =
    (nose.x - (left.x + right.x) / 2) * across + (nose.y - (left.y + right.y) / 2) * down;
  return {
    roll: (Math.atan2(down, across) * 180) / Math.PI,
    yaw: along / (across ** 2 + down ** 2),
  };
}

/** Whether the head is tilted to a shoulder or looks to the side, so far that it needs a hint. */
export function isTurned(points: Point[]): boolean {
  const { roll, yaw } = measureTurn(points);
  return Math.abs(roll) > limits.roll || Math.abs(yaw) > limits.yaw;
}

function mean(points: Point[]): Point {
  const sum = (axis: keyof Point) => points.reduce((total, point) => total + point[axis], 0);
  return { x: sum('x') / points.length, y: sum('y') / points.length };
}
