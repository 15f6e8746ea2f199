// Loops over pixels in AssemblyScript, which has TypeScript's syntax and is compiled to WebAssembly by
// tools/dev/build.mjs. A `v128` has four float32 or int32, or eight int16, that are calculated at once.
// src/inference/loops calls them. Nothing here checks that an address is in the picture or the tensor.

/** The pixels along one axis that each output pixel is made from. */
@unmanaged
class Axis {
  /** int32 [length, taps], in bytes. */
  offsets: usize;
  /** float32 [length, taps]. */
  weights: usize;
  taps: i32;
  length: i32;
}

/** An 8-bit picture: a pixel's red, green and blue are at the sum of its offsets along both axes. */
@unmanaged
class Source {
  pixels: usize;
  columns: Axis;
  rows: Axis;
}

/** A part of a tensor, by the address of its first value in each plane. */
@unmanaged
class Planes {
  red: usize;
  green: usize;
  blue: usize;
  /** From a row to the next one. */
  rowBytes: usize;
  /** A value is that of the pixel (0..255) times `multiply`, plus `add`: red, green, blue and nothing. */
  multiply: v128;
  add: v128;
}

/**
 * Each output pixel is the mean of four: the n-th of its columns with the n-th of its rows, with four
 * taps each. `row` has room for float32 [columns, 4].
 */
export function meanOfFour(source: Source, planes: Planes, row: usize): void {
  const columns = source.columns;
  const rows = source.rows;
  const end = row + 16 * columns.length;
  for (let y = 0; y < rows.length; y++) {
    const four = rows.offsets + 16 * y;
    const a = source.pixels + load<i32>(four);
    const b = source.pixels + load<i32>(four, 4);
    const c = source.pixels + load<i32>(four, 8);
    const d = source.pixels + load<i32>(four, 12);
    let column = columns.offsets;
    for (let at = row; at < end; at += 16, column += 16) {
      const upper = i16x8.add(
        loadShorts(a + load<i32>(column)),
        loadShorts(b + load<i32>(column, 4)),
      );
      const lower = i16x8.add(
        loadShorts(c + load<i32>(column, 8)),
        loadShorts(d + load<i32>(column, 12)),
      );
      v128.store(at, f32x4.mul(toFloats(i16x8.add(upper, lower)), f32x4.splat(0.25)));
    }
    storeRow(row, columns.length, planes, y);
  }
}

/**
 * Each output pixel is the sum of its pixels, each times the weights of its column and its row. `row` has
 * room for float32 [columns, 4].
 */
export function blend(source: Source, planes: Planes, row: usize): void {
  const columns = source.columns;
  const rows = source.rows;
  const end = row + 16 * columns.length;
  for (let y = 0; y < rows.length; y++) {
    memory.fill(row, 0, 16 * columns.length);
    for (let i = rows.taps * y; i < rows.taps * (y + 1); i++) {
      const pixels = source.pixels + load<i32>(rows.offsets + 4 * i);
      const ofRow = v128.load32_splat(rows.weights + 4 * i);
      let column = columns.offsets;
      let weight = columns.weights;
      for (let at = row; at < end; at += 16) {
        let sum = f32x4.splat(0);
        for (let left = columns.taps; left > 0; left--, column += 4, weight += 4) {
          const pixel = toFloats(loadShorts(pixels + load<i32>(column)));
          sum = f32x4.add(sum, f32x4.mul(pixel, v128.load32_splat(weight)));
        }
        v128.store(at, f32x4.add(v128.load(at), f32x4.mul(sum, ofRow)));
      }
    }
    storeRow(row, columns.length, planes, y);
  }
}

/**
 * float32 [rows, columns]: the mean luma of each cell's pixels, 0..255. Each cell has as many columns and
 * rows as the axes have taps.
 */
export function meanLuma(source: Source, out: usize): void {
  const columns = source.columns;
  const rows = source.rows;
  // Of Rec. 601, times 256.
  const weights = i16x8(77, 150, 29, 0, 0, 0, 0, 0);
  const whole = 256 * columns.taps * rows.taps;
  for (let y = 0; y < rows.length; y++) {
    for (let x = 0; x < columns.length; x++, out += 4) {
      let sums = i32x4.splat(0);
      for (let i = rows.taps * y; i < rows.taps * (y + 1); i++) {
        const row = source.pixels + load<i32>(rows.offsets + 4 * i);
        for (let j = columns.taps * x; j < columns.taps * (x + 1); j++) {
          const pixel = loadShorts(row + load<i32>(columns.offsets + 4 * j));
          sums = i32x4.add(sums, i32x4.dot_i16x8_s(pixel, weights));
        }
      }
      const sum = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1);
      store<f32>(out, <f32>sum / <f32>whole);
    }
  }
}

/**
 * How well cells match their mirror images, -1..1: 1 for a perfect reflection, in which a gradient (x, y)
 * becomes (-cos x - sin y, -sin x + cos y). `gradients` is float32 [cells, 4]: x, y, squared length and
 * nothing. `pairs` is uint16 [count, 2]: the offsets of a cell and of its mirror image.
 */
export function matchMirrored(gradients: usize, pairs: usize, count: i32, cos: f32, sin: f32): f32 {
  const straight = f32x4(-cos, cos, 1, 0);
  const crossed = f32x4(-sin, -sin, 0, 0);
  let matching = f32x4.splat(0);
  let total = f32x4.splat(0);
  for (let i = 0; i < count; i++, pairs += 4) {
    const a = v128.load(gradients + <usize>load<u16>(pairs));
    const b = v128.load(gradients + <usize>load<u16>(pairs, 2));
    const swapped = v128.shuffle<f32>(b, b, 1, 0, 2, 3);
    const reflected = f32x4.add(f32x4.mul(b, straight), f32x4.mul(swapped, crossed));
    matching = f32x4.add(matching, f32x4.mul(a, reflected));
    total = f32x4.add(total, f32x4.add(a, b));
  }
  const energy = f32x4.extract_lane(total, 2);
  const sum = f32x4.extract_lane(matching, 0) + f32x4.extract_lane(matching, 1);
  // Flat cells have no direction: they are as symmetrical about one axis as about another.
  return energy > 0 ? (2 * sum) / energy : 0;
}

/** A pixel's red, green and blue. With them the byte after it is loaded, which the memory always has. */
function loadShorts(pixel: usize): v128 {
  return i16x8.extend_low_i8x16_u(v128.load32_zero(pixel));
}

function toFloats(shorts: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(shorts));
}

/** Stores float32 [count, 4] in row `y` of the planes. */
function storeRow(row: usize, count: i32, planes: Planes, y: i32): void {
  const multiply = planes.multiply;
  const add = planes.add;
  let red = planes.red + planes.rowBytes * y;
  let green = planes.green + planes.rowBytes * y;
  let blue = planes.blue + planes.rowBytes * y;
  for (; count >= 4; count -= 4, row += 64, red += 16, green += 16, blue += 16) {
    const a = f32x4.add(f32x4.mul(v128.load(row), multiply), add);
    const b = f32x4.add(f32x4.mul(v128.load(row, 16), multiply), add);
    const c = f32x4.add(f32x4.mul(v128.load(row, 32), multiply), add);
    const d = f32x4.add(f32x4.mul(v128.load(row, 48), multiply), add);
    const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
    const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
    v128.store(red, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
    v128.store(green, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
    const blueAB = v128.shuffle<f32>(a, b, 2, 6, 2, 6);
    const blueCD = v128.shuffle<f32>(c, d, 2, 6, 2, 6);
    v128.store(blue, v128.shuffle<f32>(blueAB, blueCD, 0, 1, 4, 5));
  }
  for (; count > 0; count--, row += 16, red += 4, green += 4, blue += 4) {
    const pixel = f32x4.add(f32x4.mul(v128.load(row), multiply), add);
    v128.store_lane<f32>(red, pixel, 0);
    v128.store_lane<f32>(green, pixel, 1);
    v128.store_lane<f32>(blue, pixel, 2);
  }
}
