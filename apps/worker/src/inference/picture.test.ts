import { rowsOf } from '@livegate/testing/images/picture-rows';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ModelInput } from '../models/catalogue.js';
import { cropView } from './crop-view.js';
import { sampleFace } from './face-grid.js';
import { letterbox } from './letterbox.js';
import {
  allocateBatch,
  cutPicture,
  fromRows,
  type ImageTensor,
  mirrorPicture,
  type Picture,
  turnPicture,
} from './picture.js';

/** Three pixels wide, two high: 1 2 3 above 4 5 6. */
const picture = fromRows({
  pixels: Uint8Array.from([1, 2, 3, 4, 5, 6].flatMap((value) => [value, 0, 100 + value])),
  width: 3,
  height: 2,
});

function redsOf(seen: Picture): number[] {
  return [...rowsOf(seen)].filter((_, i) => i % 3 === 0);
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
});

test('mirrorPicture exchanges left and right', () => {
  expect(redsOf(mirrorPicture(picture))).toEqual([3, 2, 1, 6, 5, 4]);
});

test('cutPicture keeps the pixels of an area', () => {
  expect(redsOf(cutPicture(picture, { left: 1, top: 0, width: 2, height: 2 }))).toEqual([
    2, 3, 5, 6,
  ]);
});

test('a turned, mirrored or cut picture has the memory of the whole one', () => {
  const area = { left: 1, top: 1, width: 1, height: 1 };
  const view = cutPicture(mirrorPicture(turnPicture(picture, 90)), area);
  expect(view.pixels).toBe(picture.pixels);
});

const side = fc.integer({ min: 1, max: 60 });
const pictures = fc
  .tuple(side, side, fc.integer({ min: 1, max: 1e6 }))
  .map(([width, height, seed]) => {
    const pixels = Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * seed) % 251);
    return fromRows({ pixels, width, height });
  });

const rotation = fc.constantFrom(0 as const, 90 as const, 180 as const, 270 as const);
const share = fc.double({ min: 0, max: 1, noNaN: true });

/** The picture, turned, mirrored and cut, in any order. */
const views = fc
  .tuple(pictures, rotation, fc.boolean(), fc.tuple(share, share), rotation)
  .map(([whole, first, isMirrored, [right, below], second]) => {
    const turned = turnPicture(isMirrored ? mirrorPicture(whole) : whole, first);
    const left = Math.floor(right * (turned.width - 1));
    const top = Math.floor(below * (turned.height - 1));
    const size = { width: turned.width - left, height: turned.height - top };
    return turnPicture(cutPicture(turned, { left, top, ...size }), second);
  });

const input: ModelInput = {
  name: 'input',
  width: 16,
  height: 12,
  channels: 'RGB',
  subtract: [0, 0, 0],
  multiply: [1, 1, 1],
};

function draw(drawInto: (tensor: ImageTensor) => void): Float32Array {
  const { batch, images } = allocateBatch(input, 1);
  drawInto(images[0]!);
  return batch;
}

/** What frames, crops and face grids show of a picture; the face reaches beyond its edges. */
function readAll(seen: Picture) {
  const { width, height } = seen;
  const face = { left: -width / 5, top: height / 3, right: width / 2, bottom: height };
  return {
    frame: draw((tensor) => letterbox(seen, { left: 2, top: 1, width: 13, height: 9 }, tensor)),
    crops: (['zero', 'reflect'] as const).flatMap((fill) =>
      (['bilinear', 'area'] as const).map((resize) =>
        draw((tensor) => cropView(seen, { face, view: { scale: 1.5, fill }, resize }, tensor)),
      ),
    ),
    face: sampleFace(seen, face),
  };
}

test('frames, crops and face grids of a turned, mirrored and cut picture are those of its copy', () => {
  fc.assert(
    fc.property(views, (view) => {
      const { width, height } = view;
      const copy = fromRows({ pixels: rowsOf(view), width, height });
      expect(readAll(view)).toEqual(readAll(copy));
    }),
    { numRuns: 60 },
  );
});
