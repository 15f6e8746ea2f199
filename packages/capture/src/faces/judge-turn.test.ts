import { expect, it } from 'vitest';
import type { Point } from './face-points.js';
import { isTurned, measureTurn } from './judge-turn.js';

/** The 68 points of a head, whose eyes and nose count. The nose is moved by a share of the eye distance. */
function headOf({ roll = 0, yaw = 0 }): Point[] {
  const angle = (roll * Math.PI) / 180;
  const rotate = ({ x, y }: Point): Point => ({
    x: 0.5 + x * Math.cos(angle) - y * Math.sin(angle),
    y: 0.5 + x * Math.sin(angle) + y * Math.cos(angle),
  });
  const eyes = { left: { x: -0.2, y: -0.1 }, right: { x: 0.2, y: -0.1 } };
  return Array.from({ length: 68 }, (_, n) => {
    if (n >= 36 && n < 42) return rotate(eyes.left);
    if (n >= 42 && n < 48) return rotate(eyes.right);
    return rotate({ x: 0.4 * yaw, y: 0.1 });
  });
}

it.each([
  ['upright', {}, false],
  ['tilted a little', { roll: -18 }, false],
  ['tilted to the left shoulder', { roll: 26 }, true],
  ['tilted to the right shoulder', { roll: -26 }, true],
  ['turned a little', { yaw: 0.2 }, false],
  ['turned to the left', { yaw: 0.32 }, true],
  ['turned to the right', { yaw: -0.32 }, true],
  ['tilted and turned a little', { roll: 18, yaw: -0.2 }, false],
])('a head that is %s', (_name, head, turned) => {
  expect(isTurned(headOf(head))).toBe(turned);
});

it('a tilt does not change how far a head looks to the side', () => {
  const { roll, yaw } = measureTurn(headOf({ roll: 30, yaw: 0.1 }));
  expect(roll).toBeCloseTo(30);
  expect(yaw).toBeCloseTo(0.1);
});
