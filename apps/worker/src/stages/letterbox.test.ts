import { expect, test } from 'vitest';
import type { ModelInput } from '../model-manifest.js';
import { allocateBatch } from './image-tensor.js';
import { letterbox, placeInFrame, toPictureBox } from './letterbox.js';

const frame = { width: 320, height: 240 };

test('a wide picture fills the width, centred between black bars', () => {
  const placement = placeInFrame({ width: 1600, height: 800 }, frame, 0);
  expect(placement).toEqual({ left: 0, top: 40, width: 320, height: 160 });
});

test('a tall picture fills the height', () => {
  const placement = placeInFrame({ width: 600, height: 1200 }, frame, 0);
  expect(placement).toEqual({ left: 100, top: 0, width: 120, height: 240 });
});

test('padding by half on every side halves the picture', () => {
  const placement = placeInFrame({ width: 640, height: 480 }, frame, 0.5);
  expect(placement).toEqual({ left: 80, top: 60, width: 160, height: 120 });
});

test('a picture a thousand times as long as wide keeps a pixel', () => {
  expect(placeInFrame({ width: 1, height: 5000 }, frame, 0)).toMatchObject({ width: 1 });
});

test('a box goes back to where it was in the picture', () => {
  const picture = { width: 1600, height: 800 };
  const shares = { left: 0.25, top: 40 / 240, right: 0.5, bottom: 120 / 240 };
  const box = toPictureBox(shares, placeInFrame(picture, frame, 0), { frame, picture });
  expect(box.left).toBeCloseTo(400);
  expect(box.top).toBeCloseTo(0);
  expect(box.right).toBeCloseTo(800);
  expect(box.bottom).toBeCloseTo(400);
});

test('the tensor holds the normalised picture, and normalised black around it', async () => {
  const input: ModelInput = {
    name: 'input',
    width: 4,
    height: 2,
    channels: 'RGB',
    subtract: [127, 127, 127],
    multiply: [1 / 128, 1 / 128, 1 / 128],
  };
  const gray = { width: 2, height: 2, pixels: new Uint8Array(12).fill(255) };
  const { batch, images } = allocateBatch(input, 1);
  await letterbox(gray, placeInFrame(gray, input, 0), images[0]!);
  const [black, white] = [-127 / 128, 1];
  const plane = [black, white, white, black, black, white, white, black];
  expect([...batch]).toEqual([...plane, ...plane, ...plane]);
});
