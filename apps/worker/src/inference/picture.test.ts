import { expect, test } from 'vitest';
import { turnedSize, turnPicture } from './picture.js';

/** Three pixels wide, two high: 1 2 3 above 4 5 6. */
const picture = {
  pixels: Uint8Array.from([1, 2, 3, 4, 5, 6].flatMap((value) => [value, 0, 100 + value])),
  width: 3,
  height: 2,
};

function redsOf({ pixels }: { pixels: Uint8Array }): number[] {
  return [...pixels].filter((_, i) => i % 3 === 0);
}

test.each([
  { rotation: 0, width: 3, height: 2, reds: [1, 2, 3, 4, 5, 6] },
  { rotation: 90, width: 2, height: 3, reds: [4, 1, 5, 2, 6, 3] },
  { rotation: 180, width: 3, height: 2, reds: [6, 5, 4, 3, 2, 1] },
  { rotation: 270, width: 2, height: 3, reds: [3, 6, 2, 5, 1, 4] },
] as const)('turnPicture turns clockwise by $rotation degrees', ({ rotation, reds, ...size }) => {
  const turned = turnPicture(picture, rotation);
  expect(redsOf(turned)).toEqual(reds);
  expect(turned).toMatchObject(size);
  expect(turnedSize(picture, rotation)).toEqual(size);
});

test('turnPicture keeps the three channels of a pixel together', () => {
  const { pixels } = turnPicture(picture, 90);
  expect([...pixels.subarray(0, 6)]).toEqual([4, 0, 104, 1, 0, 101]);
});
