import * as fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { instantiate } from '#pixel-loops';
import type { ModelInput } from '../../models/catalogue.js';
import { allocateBatch, type ImageTensor, planesOf } from '../picture.js';
import { allocateTensor, forgetPictures } from './loop-memory.js';
import {
  type AxisTable,
  drawBlend,
  drawMeans,
  GRADIENT_BYTES,
  type LoopSource,
  matchMirrored,
  meanLuma,
} from './pixel-loops.js';

vi.mock(import('#pixel-loops'), { spy: true });

const MIB = 2 ** 20;

/** Pixels that differ from their neighbors. */
function pixelsOf(count: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length: 3 * count }, (_, i) => (i * (2 * seed + 1) * 40_503) >> 7);
}

const sides = fc.record({
  width: fc.integer({ min: 1, max: 40 }),
  height: fc.integer({ min: 1, max: 40 }),
});
const seeds = fc.integer({ min: 1, max: 1000 });

/** An axis that picks any pixels of `count`, which are `stride` bytes apart, also backwards. */
function axisOf(taps: fc.Arbitrary<number>, { count, stride }: { count: number; stride: number }) {
  const weight = fc.double({ min: -1, max: 1, noNaN: true });
  const pixel = fc.integer({ min: 0, max: count - 1 });
  return fc
    .record({ taps, length: fc.integer({ min: 1, max: 11 }) })
    .chain(({ taps: each, length }) => {
      const size = { minLength: each * length, maxLength: each * length };
      return fc.record({
        taps: fc.constant(each),
        offsets: fc.array(pixel, size).map((all) => Int32Array.from(all, (at) => at * stride)),
        weights: fc.array(weight, size).map((all) => Float32Array.from(all)),
      });
    });
}

/** A picture, and axes that pick its pixels; those of columns may go from right to left. */
function sourceOf(taps: fc.Arbitrary<number>): fc.Arbitrary<LoopSource & Weights> {
  return fc.tuple(sides, seeds, fc.boolean()).chain(([{ width, height }, seed, isMirrored]) =>
    fc.record({
      pixels: fc.constant(pixelsOf(width * height, seed)),
      columns: axisOf(taps, { count: width, stride: isMirrored ? -3 : 3 }),
      rows: axisOf(taps, { count: height, stride: 3 * width }).map((rows) =>
        isMirrored ? { ...rows, offsets: rows.offsets.map((at) => at + 3 * (width - 1)) } : rows,
      ),
    }),
  );
}

interface Weights {
  columns: { weights: Float32Array };
  rows: { weights: Float32Array };
}

const inputs: fc.Arbitrary<Pick<ModelInput, 'channels' | 'subtract' | 'multiply'>> =
  fc.constantFrom(
    { channels: 'RGB', subtract: [0, 0, 0], multiply: [1, 1, 1] },
    { channels: 'BGR', subtract: [127, 0, 3], multiply: [1 / 128, 1, 2] },
  );

const lengthOf = ({ offsets, taps }: AxisTable) => offsets.length / taps;

/** Within a fiftieth of a level, of 0..255. */
function expectClose(tensor: ImageTensor, expected: number[][]): void {
  for (const [i, { values, multiply }] of planesOf(tensor).entries()) {
    for (const [at, value] of expected[i]!.entries())
      expect(Math.abs(values[at]! - value) / multiply).toBeLessThan(0.02);
  }
}

/** Each pixel of the output by its column and row, from the sum of what `weigh` counts. */
function expectedPlanes(
  { pixels, columns, rows }: LoopSource,
  tensor: ImageTensor,
  pick: (x: number, y: number) => { at: number; weight: number }[],
): number[][] {
  return planesOf(tensor).map(({ subtract, multiply }, channel) =>
    Array.from({ length: lengthOf(columns) * lengthOf(rows) }, (_, i) => {
      const picked = pick(i % lengthOf(columns), Math.floor(i / lengthOf(columns)));
      const sum = picked.reduce((all, { at, weight }) => all + weight * pixels[at + channel]!, 0);
      return (sum - subtract) * multiply;
    }),
  );
}

const four = fc.constant(4);
const some = fc.integer({ min: 1, max: 5 });

test('drawMeans draws the means of four pixels into a part of the tensor, and nothing else', () => {
  fc.assert(
    fc.property(sourceOf(four), inputs, (source, input) => {
      const { columns, rows } = source;
      const size = { width: lengthOf(columns) + 3, height: lengthOf(rows) + 2 };
      const { images } = allocateBatch({ name: 'input', ...size, ...input }, 1);
      const [tensor] = images as [ImageTensor];
      tensor.values.fill(-7);
      drawMeans(source, tensor, size.width + 1);
      const means = expectedPlanes(source, tensor, (x, y) =>
        [0, 1, 2, 3].map((n) => ({
          at: columns.offsets[4 * x + n]! + rows.offsets[4 * y + n]!,
          weight: 1 / 4,
        })),
      );
      const expected = means.map((plane) =>
        Array.from({ length: size.width * size.height }, (_, i) => {
          const [x, y] = [(i % size.width) - 1, Math.floor(i / size.width) - 1];
          const isInside = x >= 0 && x < lengthOf(columns) && y >= 0 && y < lengthOf(rows);
          return isInside ? plane[y * lengthOf(columns) + x]! : -7;
        }),
      );
      expectClose(tensor, expected);
    }),
  );
});

test('drawBlend fills the tensor with sums of weighted pixels', () => {
  fc.assert(
    fc.property(sourceOf(some), inputs, (source, input) => {
      const { columns, rows } = source;
      const size = { width: lengthOf(columns), height: lengthOf(rows) };
      const { images } = allocateBatch({ name: 'input', ...size, ...input }, 1);
      const [tensor] = images as [ImageTensor];
      drawBlend(source, tensor);
      const expected = expectedPlanes(source, tensor, (x, y) =>
        Array.from({ length: columns.taps * rows.taps }, (_, i) => {
          const column = columns.taps * x + (i % columns.taps);
          const row = rows.taps * y + Math.floor(i / columns.taps);
          const weight = columns.weights[column]! * rows.weights[row]!;
          return { at: columns.offsets[column]! + rows.offsets[row]!, weight };
        }),
      );
      expectClose(tensor, expected);
    }),
  );
});

const [LARGE_WIDTH, LARGE_HEIGHT] = [4000, 3000];
const largePixels = new Uint8Array(3 * LARGE_WIDTH * LARGE_HEIGHT);
for (let i = 0; i < largePixels.length; i++) largePixels[i] = (i * 40_503) >> 7;
const along = axisOf(some, { count: LARGE_WIDTH, stride: 3 });
const down = axisOf(some, { count: LARGE_HEIGHT, stride: 3 * LARGE_WIDTH });

/** A picture of 36 MB, also turned by 90 degrees. */
const large = fc.oneof(
  fc.record({ pixels: fc.constant(largePixels), columns: along, rows: down }),
  fc.record({ pixels: fc.constant(largePixels), columns: down, rows: along }),
);

test('meanLuma is the mean of all pixels of a cell, also in a large picture', () => {
  fc.assert(
    fc.property(fc.oneof(sourceOf(some), large), ({ pixels, columns, rows }) => {
      const expected = Array.from({ length: lengthOf(columns) * lengthOf(rows) }, (_, cell) => {
        const x = columns.taps * (cell % lengthOf(columns));
        const y = rows.taps * Math.floor(cell / lengthOf(columns));
        let sum = 0;
        for (const column of columns.offsets.subarray(x, x + columns.taps)) {
          for (const row of rows.offsets.subarray(y, y + rows.taps)) {
            const [red, green, blue] = pixels.subarray(column + row);
            sum += 77 * red! + 150 * green! + 29 * blue!;
          }
        }
        return Math.fround(sum / (256 * columns.taps * rows.taps));
      });
      expect([...meanLuma({ pixels, columns, rows })]).toEqual(expected);
    }),
  );
});

const CELLS = 9;
const component = fc.integer({ min: -20, max: 20 });
const gradients = fc
  .array(fc.tuple(component, component), { minLength: CELLS, maxLength: CELLS })
  .map((cells) => Float32Array.from(cells.flatMap(([x, y]) => [x, y, x ** 2 + y ** 2, 0])));
const cell = fc.integer({ min: 0, max: CELLS - 1 });
const mirrors = fc.array(
  fc.record({
    angle: fc.double({ min: -3, max: 3, noNaN: true }),
    pairs: fc.array(fc.tuple(cell, cell)),
  }),
);

test('matchMirrored is the share of gradients that match their mirror images, of each mirror', () => {
  fc.assert(
    fc.property(gradients, mirrors, (cells, given) => {
      const expected = given.map(({ angle, pairs }) => {
        let matching = 0;
        let total = 0;
        for (const [a, b] of pairs) {
          const [ax, ay, ofA] = cells.subarray(4 * a) as unknown as [number, number, number];
          const [bx, by, ofB] = cells.subarray(4 * b) as unknown as [number, number, number];
          matching += ax * (-Math.cos(angle) * bx - Math.sin(angle) * by);
          matching += ay * (-Math.sin(angle) * bx + Math.cos(angle) * by);
          total += ofA + ofB;
        }
        return total > 0 ? (2 * matching) / total : 0;
      });
      const pairs = given.flatMap((mirror) => mirror.pairs.flat());
      let first = 0;
      const all = given.map(({ angle, pairs: { length: count } }) => {
        first += count;
        return { cos: Math.cos(angle), sin: Math.sin(angle), first: first - count, count };
      });
      const found = matchMirrored(cells, {
        mirrors: all,
        pairs: Uint16Array.from(pairs, (at) => GRADIENT_BYTES * at),
      });
      for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, 3);
    }),
  );
});

test('flat cells match about no axis better than about another', () => {
  const flat = { mirrors: [{ cos: 1, sin: 0, first: 0, count: 1 }], pairs: Uint16Array.of(0, 16) };
  expect(matchMirrored(new Float32Array(8), flat)).toEqual([0]);
});

/** Reads the brightness of one gray pixel. */
function readGray(pixels: Uint8Array, at: number): number {
  const axis = { taps: 1, offsets: Int32Array.of(0) };
  const [gray] = meanLuma({
    pixels,
    columns: axis,
    rows: { taps: 1, offsets: Int32Array.of(3 * at) },
  });
  return gray!;
}

test('pictures are told apart, however many there are', () => {
  const pictures = Array.from({ length: 50 }, (_, i) => new Uint8Array(MIB).fill(i));
  const both = [...pictures, ...pictures.toReversed(), ...pictures];
  expect(both.map((pixels) => readGray(pixels, 0))).toEqual(both.map(([gray]) => gray));
});

test.each([7, 8, 31, 32, 33, 60])('the last pixel of a picture of %i MiB is read', (size) => {
  const pixels = new Uint8Array(size * MIB - ((size * MIB) % 3)).fill(3);
  pixels.fill(9, pixels.length - 3);
  const last = pixels.length / 3 - 1;
  expect([last - 1, last, 0].map((at) => readGray(pixels, at))).toEqual([3, 9, 3]);
});

test('a call that reads more of a picture than there is room for has a memory of its own', () => {
  const taps = 1;
  const columns = { taps, offsets: Int32Array.of(0, 3 * (LARGE_WIDTH - 1)) };
  const offsets = Int32Array.from({ length: LARGE_HEIGHT }, (_, i) => 3 * LARGE_WIDTH * i);
  const luma = meanLuma({ pixels: largePixels, columns, rows: { taps, offsets } });
  const grays = [0, 1e3, LARGE_HEIGHT - 1].flatMap((row) =>
    [...columns.offsets].map((column) => {
      const [red, green, blue] = largePixels.subarray(offsets[row]! + column);
      return Math.fround((77 * red! + 150 * green! + 29 * blue!) / 256);
    }),
  );
  const found = [0, 1e3, LARGE_HEIGHT - 1].flatMap((row) => [luma[2 * row], luma[2 * row + 1]]);
  expect(found).toEqual(grays);
});

const wide = (length: number): AxisTable => {
  return { taps: 1, offsets: new Int32Array(length), weights: new Float32Array(length).fill(1) };
};

function tensorOf(values: Float32Array, width: number, height: number): ImageTensor {
  const input = { channels: 'RGB', subtract: [0, 0, 0], multiply: [1, 1, 1] } as const;
  return { values, input: { name: 'input', width, height, ...input } as unknown as ModelInput };
}

test('a tensor and tables of any size are drawn', () => {
  const pixels = pixelsOf(1);
  const tensor = tensorOf(new Float32Array(3e6), 1e6, 1);
  drawBlend({ pixels, columns: wide(1e6), rows: wide(1) }, tensor);
  for (const [channel, plane] of planesOf(tensor).entries())
    expect(plane.values.every((value) => value === pixels[channel])).toBe(true);
});

test('a large tensor that is among the loops is drawn in place', () => {
  const values = allocateTensor(3 * 800 * 800);
  vi.mocked(instantiate).mockClear();
  const source = { pixels: pixelsOf(1).fill(7), columns: wide(800), rows: wide(800) };
  drawBlend(source, tensorOf(values, 800, 800));
  expect(values.every((value) => value === 7)).toBe(true);
  expect(instantiate).not.toHaveBeenCalled();
});

test('means are not drawn beyond the tensor', () => {
  const two = { taps: 4, offsets: new Int32Array(8) };
  const source = { pixels: pixelsOf(1), columns: two, rows: two };
  const tensor = tensorOf(new Float32Array(3 * 9), 3, 3);
  expect(() => drawMeans(source, tensor, 4)).not.toThrow();
  expect(() => drawMeans(source, tensor, 5)).toThrow('pixel 10 is outside of 3x3');
});

test('a picture is copied once for a batch, and again after it was forgotten', () => {
  forgetPictures();
  const pixels = new Uint8Array(3).fill(1);
  expect(readGray(pixels, 0)).toBe(1);
  pixels.fill(2);
  matchMirrored(new Float32Array(4), { mirrors: [], pairs: new Uint16Array() });
  readGray(new Uint8Array(9 * MIB), 0);
  expect(readGray(pixels, 0)).toBe(1);
  forgetPictures();
  expect(readGray(pixels, 0)).toBe(2);
});

test('tensors are zero and apart, also when the memory of the loops has no room for them', () => {
  const tensors = Array.from({ length: 40 }, (_, i) => {
    const tensor = allocateTensor(MIB);
    expect(tensor.some((value) => value !== 0)).toBe(false);
    return tensor.fill(i + 1);
  });
  for (const [i, tensor] of tensors.entries())
    expect(tensor.some((value) => value !== i + 1)).toBe(false);
  const isBesideFirst = tensors.map(({ buffer }) => buffer === tensors[0]!.buffer);
  expect([isBesideFirst[1], isBesideFirst.at(-1)]).toEqual([true, false]);
});

// V8 would make sure before each access to an array that its buffer is not detached.
test('no buffer of the loops is ever detached', () => {
  const tensor = allocateTensor(0);
  const { byteLength } = tensor.buffer;
  for (const size of [1, 30, 1]) readGray(new Uint8Array(3 * size * MIB), 0);
  expect(tensor.buffer.byteLength).toBe(byteLength);
});
