import { type ContentPlace, type Point, turnBy } from '@livegate/core/domain';
import { fitRectangle, type Rectangle } from './fit-rectangle.js';
import { axesOf, cutPicture, fromRows, type Picture, type PictureAxis } from '../picture.js';

/*
 * A photo on a canvas of one color, straight (the bars of a player or a screenshot) or tilted. The
 * surround is not a scene, and a tilted one makes the classifier miss attacks: see
 * docs/explanation/accuracy.md. The content is cut out and put straight:
 *
 *   corners of one color? ▶ trace the content's edge ▶ fit a rectangle ▶ cut it out
 *
 * Nearly all pictures leave at the first step, after four pixels.
 */

/**
 * The content of a picture that is a rectangle on a surround of one color, and where it was; other
 * pictures as they are. A wall behind a person stays: what is before it is not a rectangle.
 */
export function removeSurround(picture: Picture): { picture: Picture; content?: ContentPlace } {
  const color = cornerColor(picture);
  if (!color) return { picture };
  for (const noise of NOISE) {
    const content = fitRectangle(traceContent(picture, { color, noise }), picture);
    if (content) return cutRectangle(picture, content);
  }
  return { picture };
}

type Color = [red: number, green: number, blue: number];

interface Surround {
  color: Color;
  /** Levels (0..255) by which a channel may differ. */
  noise: number;
}

/**
 * Levels (0..255) by which a channel of the surround may differ, tried in this order. JPEG adds some
 * near the content's edge; a dark photo on black has an edge of only a few.
 */
const NOISE = [20, 8, 3];

/** The mean of the four corner pixels, unless one of them differs from it. */
function cornerColor(picture: Picture): Color | undefined {
  const { width, height, pixels, topLeft, toRight, toBelow } = picture;
  const [across, down] = [(width - 1) * toRight, (height - 1) * toBelow];
  const corners = [0, across, down, across + down].map((offset) => topLeft + offset);
  const color = [0, 1, 2].map(
    (channel) => corners.reduce((sum, at) => sum + pixels[at + channel]!, 0) / 4,
  ) as Color;
  return corners.every((at) => isColor(pixels, at, { color, noise: NOISE[0]! }))
    ? color
    : undefined;
}

function isColor(pixels: Uint8Array, at: number, { color, noise }: Surround): boolean {
  const [red, green, blue] = color;
  return (
    Math.abs(pixels[at]! - red) <= noise &&
    Math.abs(pixels[at + 1]! - green) <= noise &&
    Math.abs(pixels[at + 2]! - blue) <= noise
  );
}

/** How many rows and how many columns are traced. */
const TRACES = 32;

/** Most steps along a line before the edge is near; the last one is then refined to a pixel. */
const STEPS = 128;

/** The first and the last point of the content in evenly spaced rows and columns. */
function traceContent(picture: Picture, surround: Surround): Point[] {
  const isContent = (at: number) => !isColor(picture.pixels, at, surround);
  const { columns: across, rows: down } = axesOf(picture);
  const rows = spread(down).flatMap(({ at, middle }) =>
    endsOf(across, (offset) => isContent(at + offset)).map((x) => ({ x, y: middle })),
  );
  const columns = spread(across).flatMap(({ at, middle }) =>
    endsOf(down, (offset) => isContent(at + offset)).map((y) => ({ x: middle, y })),
  );
  return [...rows, ...columns];
}

/** The offsets of evenly spaced rows or columns, and their middle in pixels. */
function spread({ length, start, stride }: PictureAxis): { at: number; middle: number }[] {
  return Array.from({ length: TRACES }, (_, i) => {
    const line = Math.floor(((i + 0.5) * length) / TRACES);
    return { at: start + line * stride, middle: line + 0.5 };
  });
}

/** Where the content starts and ends along a line, in pixels; nothing for a line without content. */
function endsOf(
  { length, start, stride }: PictureAxis,
  isContent: (offset: number) => boolean,
): number[] {
  const isContentAt = (pixel: number) => isContent(start + pixel * stride);
  const step = Math.ceil(length / STEPS);
  let first = 0;
  while (first < length && !isContentAt(first)) first += step;
  if (first >= length) return [];
  while (first > 0 && isContentAt(first - 1)) first--;
  let last = length;
  while (!isContentAt(last - 1)) last = Math.max(last - step, first + 1);
  while (last < length && isContentAt(last)) last++;
  return [first, last];
}

/** The pixels inside the rectangle, put straight, and its place to 4 decimals. */
function cutRectangle(picture: Picture, rectangle: Rectangle) {
  const { x, y, tilt } = rectangle;
  const cut = tilt === 0 ? cutStraight(picture, rectangle) : cutTilted(picture, rectangle);
  const share = (part: number, whole: number) => Math.round((1e4 * part) / whole) / 1e4;
  const content: ContentPlace = {
    x: share(x, picture.width),
    y: share(y, picture.height),
    width: share(cut.width, picture.width),
    height: share(cut.height, picture.height),
    tilt: share(tilt, 1),
  };
  return { picture: cut, content };
}

function cutStraight(picture: Picture, content: Rectangle): Picture {
  const left = Math.max(0, Math.round(content.x - content.width / 2));
  const top = Math.max(0, Math.round(content.y - content.height / 2));
  const width = Math.min(picture.width - left, Math.round(content.width));
  const height = Math.min(picture.height - top, Math.round(content.height));
  return cutPicture(picture, { left, top, width, height });
}

/** Pixels at each side of a tilted content that are mixed with the surround. */
const MIXED = 2;

/** Turns the content straight, with bilinear interpolation. Beyond the picture, its edge repeats. */
function cutTilted(picture: Picture, content: Rectangle): Picture {
  const width = Math.round(content.width) - 2 * MIXED;
  const height = Math.round(content.height) - 2 * MIXED;
  const pixels = new Uint8Array(3 * width * height);
  const turn = turnBy(content.tilt);
  const step = turn({ x: 1, y: 0 });
  let at = 0;
  for (let row = 0; row < height; row++) {
    const start = turn({ x: (1 - width) / 2, y: row + (1 - height) / 2 });
    let x = content.x + start.x - 0.5;
    let y = content.y + start.y - 0.5;
    for (let column = 0; column < width; column++, at += 3, x += step.x, y += step.y) {
      blend(picture, { x, y }, { out: pixels, at });
    }
  }
  return { ...picture, ...fromRows({ pixels, width, height }) };
}

/** Writes the color at a point, where the center of the first pixel is 0, 0. */
function blend(
  { pixels, width, height, topLeft, toRight, toBelow }: Picture,
  { x, y }: Point,
  { out, at }: { out: Uint8Array; at: number },
): void {
  const insideX = Math.min(Math.max(x, 0), width - 1);
  const insideY = Math.min(Math.max(y, 0), height - 1);
  const [column, row] = [Math.floor(insideX), Math.floor(insideY)];
  const right = column < width - 1 ? toRight : 0;
  const down = row < height - 1 ? toBelow : 0;
  const [ofRight, ofLower] = [insideX - column, insideY - row];
  const from = topLeft + column * toRight + row * toBelow;
  for (let channel = from; channel < from + 3; channel++) {
    const upper = pixels[channel]! * (1 - ofRight) + pixels[channel + right]! * ofRight;
    const lower =
      pixels[channel + down]! * (1 - ofRight) + pixels[channel + down + right]! * ofRight;
    out[at + channel - from] = upper * (1 - ofLower) + lower * ofLower + 0.5;
  }
}
