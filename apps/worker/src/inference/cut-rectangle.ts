import type { Picture, Size } from './picture.js';

export interface Point {
  x: number;
  y: number;
}

/** A rectangle in pixels of the picture. */
export interface Rectangle extends Size {
  /** Its center. */
  x: number;
  y: number;
  /** Degrees clockwise by which it is turned, from -45 to 45. */
  tilt: number;
}

/** The pixels inside the rectangle, put straight. */
export function cutRectangle(picture: Picture, rectangle: Rectangle): Picture {
  return rectangle.tilt === 0 ? cutStraight(picture, rectangle) : cutTilted(picture, rectangle);
}

function cutStraight(picture: Picture, content: Rectangle): Picture {
  const left = Math.max(0, Math.round(content.x - content.width / 2));
  const top = Math.max(0, Math.round(content.y - content.height / 2));
  const width = Math.min(picture.width - left, Math.round(content.width));
  const height = Math.min(picture.height - top, Math.round(content.height));
  const pixels = new Uint8Array(3 * width * height);
  for (let row = 0; row < height; row++) {
    const from = 3 * ((top + row) * picture.width + left);
    pixels.set(picture.pixels.subarray(from, from + 3 * width), 3 * width * row);
  }
  return { pixels, width, height };
}

/** Pixels at each side of a tilted content that are mixed with the surround. */
const MIXED = 2;

/** Turns the content straight, with bilinear interpolation. Beyond the picture, its edge repeats. */
function cutTilted(picture: Picture, content: Rectangle): Picture {
  const width = Math.round(content.width) - 2 * MIXED;
  const height = Math.round(content.height) - 2 * MIXED;
  const pixels = new Uint8Array(3 * width * height);
  const step = turn({ x: 1, y: 0 }, content.tilt);
  let at = 0;
  for (let row = 0; row < height; row++) {
    const start = turn({ x: (1 - width) / 2, y: row + (1 - height) / 2 }, content.tilt);
    let x = content.x + start.x - 0.5;
    let y = content.y + start.y - 0.5;
    for (let column = 0; column < width; column++, at += 3, x += step.x, y += step.y) {
      blend(picture, { x, y }, { out: pixels, at });
    }
  }
  return { pixels, width, height };
}

/** Writes the color at a point, where the center of the first pixel is 0, 0. */
function blend(
  { pixels, width, height }: Picture,
  { x, y }: Point,
  { out, at }: { out: Uint8Array; at: number },
): void {
  const insideX = Math.min(Math.max(x, 0), width - 1);
  const insideY = Math.min(Math.max(y, 0), height - 1);
  const [column, row] = [Math.floor(insideX), Math.floor(insideY)];
  const [right, down] = [column < width - 1 ? 3 : 0, row < height - 1 ? 3 * width : 0];
  const [ofRight, ofLower] = [insideX - column, insideY - row];
  const from = 3 * (row * width + column);
  for (let channel = from; channel < from + 3; channel++) {
    const upper = pixels[channel]! * (1 - ofRight) + pixels[channel + right]! * ofRight;
    const lower =
      pixels[channel + down]! * (1 - ofRight) + pixels[channel + down + right]! * ofRight;
    out[at + channel - from] = upper * (1 - ofLower) + lower * ofLower + 0.5;
  }
}

/** The point turned clockwise around the origin, by degrees. */
export function turn({ x, y }: Point, degrees: number): Point {
  const [sin, cos] = sinCos(degrees);
  return { x: cos * x - sin * y, y: sin * x + cos * y };
}

export function sinCos(degrees: number): [sin: number, cos: number] {
  const radians = (degrees * Math.PI) / 180;
  return [Math.sin(radians), Math.cos(radians)];
}
