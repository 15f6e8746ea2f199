import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Fill, ModelInput, Resize } from '../models/catalogue.js';
import { type Crop, cropView, squareAround } from './crop-view.js';
import { allocateBatch, fromRows, type Picture } from './picture.js';

const input: ModelInput = {
  name: 'input',
  width: 4,
  height: 4,
  channels: 'BGR',
  subtract: [0, 0, 0],
  multiply: [1, 1, 1],
};

/** 2x2 pixels; red is 1 2 3 4 row by row, green 10 times and blue 100 times red. */
const picture = fromRows({
  width: 2,
  height: 2,
  pixels: Uint8Array.from([1, 10, 100, 2, 20, 200, 3, 30, 44, 4, 40, 55]),
});

/** The face is the whole picture; the view adds one pixel on each side. */
function cropWithMargin(fill: Fill, modelInput: ModelInput = input): number[] {
  const { batch, images } = allocateBatch(modelInput, 1);
  const face = { left: 0, top: 0, right: 2, bottom: 2 };
  cropView(picture, { face, view: { scale: 2, fill }, resize: 'bilinear' }, images[0]!);
  return [...batch];
}

test('zero fill is black around the picture, with the channels in BGR order', () => {
  const blue = [0, 0, 0, 0, 0, 100, 200, 0, 0, 44, 55, 0, 0, 0, 0, 0];
  const green = [0, 0, 0, 0, 0, 10, 20, 0, 0, 30, 40, 0, 0, 0, 0, 0];
  const red = [0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 0];
  expect(cropWithMargin('zero')).toEqual([...blue, ...green, ...red]);
});

test('reflect fill mirrors rows and columns', () => {
  const red = cropWithMargin('reflect').slice(32);
  expect(red).toEqual([4, 3, 4, 3, 2, 1, 2, 1, 4, 3, 4, 3, 2, 1, 2, 1]);
});

test('values are normalized by channel, in the order of the model', () => {
  const scaled: ModelInput = {
    ...input,
    channels: 'RGB',
    subtract: [1, 10, 100],
    multiply: [2, 1, 0.5],
  };
  const values = cropWithMargin('zero', scaled);
  // Row 1, columns 1 and 2 of the red, green and blue channel.
  expect([values[5], values[6]]).toEqual([0, 2]);
  expect([values[21], values[22]]).toEqual([0, 10]);
  expect([values[37], values[38]]).toEqual([0, 50]);
});

const crops = fc.record({
  picture: fc
    .record({ width: fc.integer({ min: 1, max: 9 }), height: fc.integer({ min: 1, max: 9 }) })
    .chain(({ width, height }) =>
      fc
        .uint8Array({ minLength: 3 * width * height, maxLength: 3 * width * height })
        .map((pixels) => fromRows({ pixels, width, height })),
    ),
  // Coordinates far beyond both sides, so that squares are inside, across and outside the edges.
  face: fc
    .tuple(coordinate(-15, 20), coordinate(-15, 20), coordinate(0.1, 20), coordinate(0.1, 20))
    .map(([left, top, width, height]) => ({
      left,
      top,
      right: left + width,
      bottom: top + height,
    })),
  view: fc.record({
    scale: coordinate(0.3, 3),
    fill: fc.constantFrom<Fill[]>('zero', 'reflect'),
  }),
  resize: fc.constantFrom<Resize[]>('bilinear', 'area'),
  input: fc.record({
    name: fc.constant('input'),
    width: fc.integer({ min: 1, max: 6 }),
    height: fc.integer({ min: 1, max: 6 }),
    channels: fc.constantFrom<ModelInput['channels'][]>('RGB', 'BGR'),
    subtract: fc.tuple(coordinate(0, 200), coordinate(0, 200), coordinate(0, 200)),
    multiply: fc.tuple(coordinate(0.1, 2), coordinate(0.1, 2), coordinate(0.1, 2)),
  }),
});

test('a view equals a pixel-by-pixel reference, wherever it is', () => {
  fc.assert(
    fc.property(crops, ({ picture: source, input: modelInput, ...crop }) => {
      const { batch, images } = allocateBatch(modelInput, 1);
      cropView(source, crop, images[0]!);
      const defined = viewByDefinition(source, crop, modelInput);
      const difference = Math.max(...batch.map((value, i) => Math.abs(value - defined[i]!)));
      expect(difference).toBeLessThan(1e-3);
    }),
    { numRuns: 500 },
  );
});

test('squareAround scales the longer side of the box, around its center', () => {
  const box = { left: 10, top: 20, right: 30, bottom: 60 };
  expect(squareAround(box, 2.5)).toEqual({ left: -30, top: -10, side: 100 });
});

function coordinate(min: number, max: number) {
  return fc.double({ min, max, noNaN: true });
}

/** The reference: each value as the weighted sum of all source pixels, inside or mirrored. */
function viewByDefinition(source: Picture, crop: Crop, modelInput: ModelInput): number[] {
  const { width, height, channels, subtract, multiply } = modelInput;
  const { left, top, side } = squareAround(crop.face, crop.view.scale);
  const values: number[] = [];
  for (const plane of [0, 1, 2] as const) {
    const color = channels === 'RGB' ? plane : 2 - plane;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const columns = weigh({ start: left, step: side / width, resize: crop.resize }, x);
        const rows = weigh({ start: top, step: side / height, resize: crop.resize }, y);
        const value = rows
          .flatMap((row) => columns.map((column) => ({ row, column })))
          .map(
            ({ row, column }) =>
              row.weight *
              column.weight *
              colorAt(source, crop.view.fill, [column.at, row.at], color),
          )
          .reduce((a, b) => a + b);
        values.push((value - subtract[plane]) * multiply[plane]);
      }
    }
  }
  return values;
}

interface Line {
  start: number;
  step: number;
  resize: Resize;
}

/** The pixels of an axis, inside and outside, with their weights in output pixel `i`. */
function weigh({ start, step, resize }: Line, i: number): { at: number; weight: number }[] {
  const [from, to] = [start + i * step, start + (i + 1) * step];
  const middle = (from + to) / 2;
  const places: { at: number; weight: number }[] = [];
  for (let at = Math.floor(from) - 2; at <= to + 2; at++) {
    const overlap = Math.min(to, at + 1) - Math.max(from, at);
    const nearness = 1 - Math.abs(at + 0.5 - middle);
    const weight = resize === 'area' && step > 1 ? overlap / step : nearness;
    if (weight > 0) places.push({ at, weight });
  }
  return places;
}

/** The color at any coordinate, with the fill outside of the picture. */
function colorAt(source: Picture, fill: Fill, [x, y]: [number, number], color: number): number {
  const isInside = x >= 0 && y >= 0 && x < source.width && y < source.height;
  if (!isInside && fill === 'zero') return 0;
  const from = mirror(y, source.height) * source.width + mirror(x, source.width);
  return source.pixels[3 * from + color]!;
}

/** Mirrors a coordinate by walking back and forth between the first and the last pixel. */
function mirror(at: number, length: number): number {
  const last = length - 1;
  if (last === 0) return 0;
  let place = at;
  while (place < 0 || place > last) place = place < 0 ? -place : 2 * last - place;
  return place;
}
