import {
  type Area,
  axesOf,
  type Box,
  type ImageTensor,
  type Picture,
  type PictureAxis,
  planesOf,
  type Size,
} from './picture.js';

/**
 * The largest centered area of `frame` with the picture's proportions. `padding` shrinks the area
 * as if the picture had been padded by this fraction of its width and height on every side.
 */
export function placeInFrame(picture: Size, frame: Size, padding: number): Area {
  const fit = Math.min(frame.width / picture.width, frame.height / picture.height);
  const scale = fit / (1 + 2 * padding);
  const width = Math.max(1, Math.round(picture.width * scale));
  const height = Math.max(1, Math.round(picture.height * scale));
  return {
    left: Math.floor((frame.width - width) / 2),
    top: Math.floor((frame.height - height) / 2),
    width,
    height,
  };
}

/**
 * Positions of a frame pixel's four sample points, horizontal and vertical, as fractions of its
 * side.
 */
const ACROSS = [1 / 8, 3 / 8, 5 / 8, 7 / 8];
const DOWN = [5 / 8, 1 / 8, 7 / 8, 3 / 8];

/** Draws the picture into the tensor, on black. */
export function letterbox(picture: Picture, placement: Area, tensor: ImageTensor): void {
  clearFrame(tensor);
  drawPicture(picture, placement, tensor);
}

/** Fills the tensor with black. */
export function clearFrame(tensor: ImageTensor): void {
  for (const { values, subtract, multiply } of planesOf(tensor)) {
    values.fill((0 - subtract) * multiply);
  }
}

/**
 * Draws the picture into the area of the tensor. Each pixel is the mean of four sample points in the
 * area of the picture that it covers, or in one source pixel if that is larger. No two points of
 * this rotated grid share a row or a column, so edges look nearly as if the whole area were
 * averaged, for four reads instead of dozens.
 */
export function drawPicture(picture: Picture, placement: Area, tensor: ImageTensor): void {
  const planes = planesOf(tensor).map(({ values, subtract, multiply }) => {
    return { values, black: (0 - subtract) * multiply, ofPoint: multiply / ACROSS.length };
  });
  // Separate variables, because they make the inner loop faster.
  const [
    { values: reds, black: noRed, ofPoint: ofRed },
    { values: greens, black: noGreen, ofPoint: ofGreen },
    { values: blues, black: noBlue, ofPoint: ofBlue },
  ] = planes as [FramePlane, FramePlane, FramePlane];
  const { pixels } = picture;
  const axes = axesOf(picture);
  const columns = placePoints(ACROSS, placement.width, axes.columns);
  const rows = placePoints(DOWN, placement.height, axes.rows);
  for (let y = 0; y < placement.height; y++) {
    const rowA = rows[4 * y]!;
    const rowB = rows[4 * y + 1]!;
    const rowC = rows[4 * y + 2]!;
    const rowD = rows[4 * y + 3]!;
    let at = (placement.top + y) * tensor.input.width + placement.left;
    for (let column = 0; column < columns.length; column += 4, at++) {
      const a = rowA + columns[column]!;
      const b = rowB + columns[column + 1]!;
      const c = rowC + columns[column + 2]!;
      const d = rowD + columns[column + 3]!;
      const red = pixels[a]! + pixels[b]! + pixels[c]! + pixels[d]!;
      const green = pixels[a + 1]! + pixels[b + 1]! + pixels[c + 1]! + pixels[d + 1]!;
      const blue = pixels[a + 2]! + pixels[b + 2]! + pixels[c + 2]! + pixels[d + 2]!;
      reds[at] = red * ofRed + noRed;
      greens[at] = green * ofGreen + noGreen;
      blues[at] = blue * ofBlue + noBlue;
    }
  }
}

interface FramePlane {
  values: Float32Array;
  /** The model's value for black, and the increase for each level of each of the four points. */
  black: number;
  ofPoint: number;
}

/** [count, 4]: offsets in the picture's array of each pixel's four points along one axis. */
function placePoints(
  positions: number[],
  count: number,
  { length, start, stride }: PictureAxis,
): Int32Array {
  const step = length / count;
  const spread = Math.max(1, step);
  const points = new Int32Array(positions.length * count);
  for (let i = 0; i < points.length; i++) {
    const middle = (Math.floor(i / positions.length) + 0.5) * step;
    const pixel = Math.floor(middle + (positions[i % positions.length]! - 0.5) * spread);
    points[i] = start + stride * Math.min(Math.max(pixel, 0), length - 1);
  }
  return points;
}

/** Converts a box from fractions (0..1) of the frame to pixels of the picture. */
export function toPictureBox(
  box: Box,
  placement: Area,
  { frame, picture }: { frame: Size; picture: Size },
): Box {
  const toX = (fraction: number) =>
    ((fraction * frame.width - placement.left) * picture.width) / placement.width;
  const toY = (fraction: number) =>
    ((fraction * frame.height - placement.top) * picture.height) / placement.height;
  return {
    left: toX(box.left),
    top: toY(box.top),
    right: toX(box.right),
    bottom: toY(box.bottom),
  };
}
