import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ModelInput, Resize, View } from '../models/catalogue.js';
import { cropView } from './crop-view.js';
import { allocateBatch, fromRows } from './picture.js';
import { distinctViews } from './score-faces.js';

const input: ModelInput = {
  name: 'input',
  width: 8,
  height: 8,
  channels: 'RGB',
  subtract: [0, 0, 0],
  multiply: [1, 1, 1],
};
const views: View[] = [
  { scale: 2, fill: 'zero' },
  { scale: 2, fill: 'reflect' },
  { scale: 3, fill: 'zero' },
  { scale: 3, fill: 'reflect' },
];

/** A face that is 10 pixels high, in the middle of a square picture. */
function shownBy(side: number, ofViews = views): number[] {
  const pixels = new Uint8Array(3 * side * side);
  const picture = fromRows({ width: side, height: side, pixels });
  const middle = { left: side / 2 - 4, right: side / 2 + 4 };
  const face = { ...middle, top: side / 2 - 5, bottom: side / 2 + 5 };
  return distinctViews({ picture, face }, { views: ofViews, resize: 'bilinear', input }).shownBy;
}

test('views inside the picture that differ only in their fill are one', () => {
  expect(shownBy(40)).toEqual([0, 0, 1, 1]);
});

test('views that reach beyond the picture are distinct by their fill', () => {
  expect(shownBy(25)).toEqual([0, 0, 1, 2]);
  expect(shownBy(15)).toEqual([0, 1, 2, 3]);
});

test('a view that a manifest lists twice is one', () => {
  const [zero, reflect] = views as [View, View];
  expect(shownBy(15, [zero, reflect, zero])).toEqual([0, 1, 0]);
});

const faces = fc
  .tuple(...[0, 1, 2, 3].map(() => fc.double({ min: 0, max: 1, noNaN: true })))
  .map(([x, y, width, height]) => {
    const [left, top] = [30 * x!, 30 * y!];
    return { left, top, right: left + 1 + 15 * width!, bottom: top + 1 + 15 * height! };
  });

test('a dropped view has exactly the pixels of the view that replaces it', () => {
  const pixels = Uint8Array.from({ length: 3 * 40 * 40 }, (_, i) => (i * 7919) % 251);
  const picture = fromRows({ width: 40, height: 40, pixels });
  const arbitrary = [faces, fc.constantFrom<Resize[]>('bilinear', 'area')] as const;
  fc.assert(
    fc.property(...arbitrary, (face, resize) => {
      const crop = (view: View) => {
        const { batch, images } = allocateBatch(input, 1);
        cropView(picture, { face, view, resize }, images[0]!);
        return Buffer.from(batch.buffer);
      };
      const distinct = distinctViews({ picture, face }, { views, resize, input });
      for (const [i, view] of views.entries()) {
        expect(crop(distinct.views[distinct.shownBy[i]!]!).equals(crop(view))).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});
