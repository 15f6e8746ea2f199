import type { Rotation } from '@livegate/core/domain';
import type { Picture, Size } from './picture.js';

/** One axis of a turned picture, in the array of the picture before it was turned. */
export interface PictureAxis {
  /** Pixels. */
  length: number;
  /** Offset from one pixel to the next. */
  stride: number;
  /** Offset of the first pixel. A pixel's offset is the sum of those along both axes. */
  start: number;
}

/** The axes of the picture as it is after it was turned clockwise by `rotation`. */
export function axesOf(
  { width, height }: Size,
  rotation: Rotation,
): { columns: PictureAxis; rows: PictureAxis } {
  const across = { length: width, stride: 3, start: 0 };
  const down = { length: height, stride: 3 * width, start: 0 };
  if (rotation === 0) return { columns: across, rows: down };
  if (rotation === 90) return { columns: reverse(down), rows: across };
  if (rotation === 180) return { columns: reverse(across), rows: reverse(down) };
  return { columns: down, rows: reverse(across) };
}

function reverse({ length, stride, start }: PictureAxis): PictureAxis {
  return { length, stride: -stride, start: start + (length - 1) * stride };
}

/** The size of the picture after it was turned by `rotation`. */
export function turnedSize({ width, height }: Size, rotation: Rotation): Size {
  return rotation % 180 === 0 ? { width, height } : { width: height, height: width };
}

/** A copy of the picture, turned clockwise by `rotation`: every pixel is kept as it is. */
export function turnPicture(picture: Picture, rotation: Rotation): Picture {
  const { columns, rows } = axesOf(picture, rotation);
  const { pixels } = picture;
  const turned = new Uint8Array(pixels.length);
  let at = 0;
  for (let y = 0; y < rows.length; y++) {
    let from = columns.start + rows.start + y * rows.stride;
    for (let x = 0; x < columns.length; x++, at += 3, from += columns.stride) {
      turned[at] = pixels[from]!;
      turned[at + 1] = pixels[from + 1]!;
      turned[at + 2] = pixels[from + 2]!;
    }
  }
  return { pixels: turned, width: columns.length, height: rows.length };
}
