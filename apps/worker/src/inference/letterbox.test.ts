import { expect, test } from 'vitest';
import type { ModelInput } from '../models/catalogue.js';
import { letterbox, placeInFrame, toPictureBox } from './letterbox.js';
import { allocateBatch, fromRows, type Size } from './picture.js';

const frame = { width: 320, height: 240 };

test('a wide picture fills the width, centered between black bars', () => {
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

test('the left and the upper bar are the smaller ones if bars differ by a pixel', () => {
  const wide = placeInFrame({ width: 640, height: 402 }, frame, 0);
  expect(wide).toEqual({ left: 0, top: 19, width: 320, height: 201 });
  const tall = placeInFrame({ width: 202, height: 480 }, frame, 0);
  expect(tall).toEqual({ left: 109, top: 0, width: 101, height: 240 });
});

test('an extremely long picture is at least one pixel wide', () => {
  expect(placeInFrame({ width: 1, height: 5000 }, frame, 0)).toMatchObject({ width: 1 });
});

test('toPictureBox reverses the placement', () => {
  const picture = { width: 1600, height: 800 };
  const shares = { left: 0.25, top: 40 / 240, right: 0.5, bottom: 120 / 240 };
  const box = toPictureBox(shares, placeInFrame(picture, frame, 0), { frame, picture });
  expect(box.left).toBeCloseTo(400);
  expect(box.top).toBeCloseTo(0);
  expect(box.right).toBeCloseTo(800);
  expect(box.bottom).toBeCloseTo(400);
});

test('the tensor contains the normalized picture, and normalized black around it', () => {
  const input: ModelInput = {
    name: 'input',
    width: 4,
    height: 2,
    channels: 'RGB',
    subtract: [127, 127, 127],
    multiply: [1 / 128, 1 / 128, 1 / 128],
  };
  const pixels = new Uint8Array(3 * 200 * 200).fill(255);
  const white = fromRows({ width: 200, height: 200, pixels });
  const { batch, images } = allocateBatch(input, 1);
  letterbox(white, placeInFrame(white, input, 0), images[0]!);
  const row = [-127 / 128, 1, 1, -127 / 128];
  const plane = [...row, ...row];
  expect([...batch]).toEqual([...plane, ...plane, ...plane]);
});

test('each color is written to its channel, with the normalization of that channel', () => {
  const input: ModelInput = {
    name: 'input',
    width: 2,
    height: 3,
    channels: 'BGR',
    subtract: [3, 2, 1],
    multiply: [1, 10, 100],
  };
  const pixels = Uint8Array.from([11, 22, 33, 44, 55, 66]);
  const picture = fromRows({ width: 2, height: 1, pixels });
  const { batch, images } = allocateBatch(input, 1);
  letterbox(picture, placeInFrame(picture, input, 0), images[0]!);
  const blue = [-3, -3, 30, 63, -3, -3];
  const green = [-20, -20, 200, 530, -20, -20];
  const red = [-100, -100, 1000, 4300, -100, -100];
  expect([...batch]).toEqual([...blue, ...green, ...red]);
});

/** Letterboxes a gray picture in a square frame: the values of one channel, row by row. */
function boxed(picture: Size, value: (x: number, y: number) => number, side: number): number[] {
  const pixels = Uint8Array.from({ length: 3 * picture.width * picture.height }, (_, i) => {
    const pixel = Math.floor(i / 3);
    return value(pixel % picture.width, Math.floor(pixel / picture.width));
  });
  const square = { width: side, height: side };
  const input = { ...square, name: 'x', channels: 'RGB' as const, subtract: zeros, multiply: ones };
  const { batch, images } = allocateBatch(input, 1);
  letterbox(fromRows({ ...picture, pixels }), placeInFrame(picture, square, 0), images[0]!);
  return [...batch.subarray(0, side * side)];
}

const zeros: [number, number, number] = [0, 0, 0];
const ones: [number, number, number] = [1, 1, 1];

test.each([
  ['across', (x: number) => 10 * x],
  ['down', (_: number, y: number) => 10 * y],
])('a shrunk gradient has the average of the area in each pixel: %s', (_, value) => {
  const averages = [15, 55, 95, 135];
  const means = boxed({ width: 16, height: 16 }, value, 4);
  const along = value(1, 0) > 0 ? means.slice(0, 4) : [0, 1, 2, 3].map((y) => means[4 * y]!);
  expect(along).toEqual(averages);
});

test('an enlarged picture mixes neighboring pixels', () => {
  const row = boxed({ width: 2, height: 2 }, (x) => 100 * x, 8).slice(0, 8);
  expect(row[0]).toBe(0);
  expect(row[7]).toBe(100);
  expect(row.toSorted((a, b) => a - b)).toEqual(row);
  expect(new Set(row).size).toBeGreaterThan(2);
});
