import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ContentPlace, type Outline, placeFace, type Point } from './place-face.js';

const image = { width: 200, height: 100 };
const face = { left: 0.1, top: 0.2, width: 0.2, height: 0.6 };
const share = fc.double({ min: 0.1, max: 1, noNaN: true });

const outlineOf = (...corners: [number, number][]) => corners.map(([x, y]) => ({ x, y }));

function expectClose(actual: Outline, expected: Point[]): void {
  for (const [i, { x, y }] of expected.entries()) {
    expect(actual[i]!.x).toBeCloseTo(x, 6);
    expect(actual[i]!.y).toBeCloseTo(y, 6);
  }
}

const between = (from: Point, to: Point, by: number) => ({
  x: from.x + by * (to.x - from.x),
  y: from.y + by * (to.y - from.y),
});
const distance = (a: Point, b: Point) => Math.hypot(a.x - b.x, a.y - b.y);
const middleOf = ([first, , third]: Outline) => between(first, third, 0.5);

describe('placeFace', () => {
  test('places the face and its views in an upright image', () => {
    const placed = placeFace({ face, rotation: 0 }, { image, scales: [1, 2] });
    expectClose(placed.picture, outlineOf([0, 0], [200, 0], [200, 100], [0, 100]));
    expectClose(placed.face, outlineOf([20, 20], [60, 20], [60, 80], [20, 80]));
    expect(placed.views).toHaveLength(2);
    expectClose(placed.views[0]!, outlineOf([10, 20], [70, 20], [70, 80], [10, 80]));
    expectClose(placed.views[1]!, outlineOf([-20, -10], [100, -10], [100, 110], [-20, 110]));
  });

  // The upright picture begins at the corner of the image that turning it brings to the upper left.
  test.each([
    [90, outlineOf([0, 100], [0, 0], [200, 0], [200, 100])],
    [180, outlineOf([200, 100], [0, 100], [0, 0], [200, 0])],
    [270, outlineOf([200, 0], [200, 100], [0, 100], [0, 0])],
  ])('begins an image that was turned by %i degrees at the right corner', (rotation, corners) => {
    const { picture } = placeFace({ face, rotation }, { image, scales: [] });
    expectClose(picture, corners);
  });

  test('places a photo that is tilted on a surround of one color', () => {
    const content = { x: 0.25, y: 0.5, width: 0.2, height: 0.4, tilt: 45 };
    const { picture } = placeFace({ face, content, rotation: 0 }, { image, scales: [] });
    const reach = 40 * Math.SQRT1_2;
    // A square of 40 pixels on its corner.
    expectClose(picture, outlineOf([50, 50 - reach], [50 + reach, 50], [50, 50 + reach]));
  });

  test('keeps the size of the photo, the place of the face in it and the views around the face', () => {
    const content: fc.Arbitrary<ContentPlace> = fc.record({
      x: share,
      y: share,
      width: share,
      height: share,
      tilt: fc.integer({ min: -45, max: 45 }),
    });
    const rotations = fc.constantFrom(0, 90, 180, 270);
    const faces = fc.record({ left: share, top: share, width: share, height: share });
    fc.assert(
      fc.property(content, rotations, faces, share, (place, rotation, found, scale) => {
        const judged = { face: found, content: place, rotation };
        const placed = placeFace(judged, { image, scales: [scale] });
        const [first, second, , fourth] = placed.picture;
        const sides = [place.width * image.width, place.height * image.height];
        const [across, down] = rotation % 180 === 0 ? sides : sides.toReversed();
        expect(distance(first, second)).toBeCloseTo(across!, 6);
        expect(distance(first, fourth)).toBeCloseTo(down!, 6);
        expectClose(placed.picture, [
          first,
          second,
          between(first, middleOf(placed.picture), 2),
          fourth,
        ]);
        const center = { x: place.x * image.width, y: place.y * image.height };
        expect(distance(middleOf(placed.picture), center)).toBeCloseTo(0, 6);
        const angle = (Math.atan2(second.y - first.y, second.x - first.x) * 180) / Math.PI;
        expect(Math.cos(((angle - place.tilt + rotation) * Math.PI) / 180)).toBeCloseTo(1, 6);

        const at = (x: number, y: number) => {
          const [above, left] = [between(first, second, x), between(first, fourth, y)];
          return { x: above.x + left.x - first.x, y: above.y + left.y - first.y };
        };
        const [right, bottom] = [found.left + found.width, found.top + found.height];
        expectClose(placed.face, [
          at(found.left, found.top),
          at(right, found.top),
          at(right, bottom),
          at(found.left, bottom),
        ]);
        const view = placed.views[0]!;
        const side = scale * Math.max(found.width * across!, found.height * down!);
        expect(distance(view[0], view[1])).toBeCloseTo(side, 6);
        expect(distance(view[1], view[2])).toBeCloseTo(side, 6);
        expect(distance(middleOf(view), middleOf(placed.face))).toBeCloseTo(0, 6);
      }),
    );
  });
});
