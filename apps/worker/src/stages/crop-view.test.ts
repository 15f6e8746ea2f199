import { expect, test } from 'vitest';
import type { Fill, ModelInput } from '../model-manifest.js';
import { cropView, squareAround } from './crop-view.js';
import { allocateBatch } from './image-tensor.js';
import type { Picture } from './picture.js';

const input: ModelInput = {
  name: 'input',
  width: 4,
  height: 4,
  channels: 'BGR',
  subtract: [0, 0, 0],
  multiply: [1, 1, 1],
};

/** 2x2 pixels; red 1 2 3 4 row by row, green ten times, blue a hundred times as much. */
const picture: Picture = {
  width: 2,
  height: 2,
  pixels: Uint8Array.from([1, 10, 100, 2, 20, 200, 3, 30, 44, 4, 40, 55]),
};

/** The whole picture is the face, seen with a margin of one pixel on each side. */
function cropWithMargin(fill: Fill, modelInput: ModelInput = input): number[] {
  const { batch, images } = allocateBatch(modelInput, 1);
  const face = { left: 0, top: 0, right: 2, bottom: 2 };
  cropView(picture, { face, view: { scale: 2, fill }, resize: 'bilinear' }, images[0]!);
  return [...batch];
}

test('zero fill leaves black around the picture, the planes in blue, green, red order', () => {
  const blue = [0, 0, 0, 0, 0, 100, 200, 0, 0, 44, 55, 0, 0, 0, 0, 0];
  const green = [0, 0, 0, 0, 0, 10, 20, 0, 0, 30, 40, 0, 0, 0, 0, 0];
  const red = [0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 0];
  expect(cropWithMargin('zero')).toEqual([...blue, ...green, ...red]);
});

test('reflect fill mirrors rows and columns', () => {
  const red = cropWithMargin('reflect').slice(32);
  expect(red).toEqual([4, 3, 4, 3, 2, 1, 2, 1, 4, 3, 4, 3, 2, 1, 2, 1]);
});

test('values are normalised per channel, in the order of the planes', () => {
  const scaled: ModelInput = {
    ...input,
    channels: 'RGB',
    subtract: [1, 10, 100],
    multiply: [2, 1, 0.5],
  };
  const values = cropWithMargin('zero', scaled);
  // Row 1, columns 1 and 2 of the red, green and blue plane.
  expect([values[5], values[6]]).toEqual([0, 2]);
  expect([values[21], values[22]]).toEqual([0, 10]);
  expect([values[37], values[38]]).toEqual([0, 50]);
});

test('the square is as large as the longer side asks, around the centre of the box', () => {
  const box = { left: 10, top: 20, right: 30, bottom: 60 };
  expect(squareAround(box, 2.5)).toEqual({ left: -30, top: -10, side: 100 });
});
