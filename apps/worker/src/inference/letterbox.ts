import { type Box, type ImageTensor, type Picture, planesOf, type Size } from './picture.js';

/** Where a picture lies in the detector's frame, in pixels of that frame. */
export interface Placement extends Size {
  left: number;
  top: number;
}

/**
 * The largest centred place in `frame` that keeps the picture's proportions. `padShare` leaves room
 * as if the picture had first been padded by that share of its width and height on every side.
 */
export function placeInFrame(picture: Size, frame: Size, padShare: number): Placement {
  const fit = Math.min(frame.width / picture.width, frame.height / picture.height);
  const scale = fit / (1 + 2 * padShare);
  const width = Math.max(1, Math.round(picture.width * scale));
  const height = Math.max(1, Math.round(picture.height * scale));
  return {
    left: Math.floor((frame.width - width) / 2),
    top: Math.floor((frame.height - height) / 2),
    width,
    height,
  };
}

/** Where the four points of a pixel lie across it and down, in shares of its side. */
const ACROSS = [1 / 8, 3 / 8, 5 / 8, 7 / 8];
const DOWN = [5 / 8, 1 / 8, 7 / 8, 3 / 8];

/**
 * Fills the tensor with the picture at its place, on black. Each pixel there is the mean of four
 * points of the area that it shows, or of a source pixel's where that is larger. On this rotated grid
 * no two of them share a row or a column: edges come out nearly as if the whole area were averaged,
 * for four reads instead of dozens.
 */
export function letterbox(picture: Picture, placement: Placement, tensor: ImageTensor): void {
  const planes = planesOf(tensor).map(({ values, subtract, multiply }) => {
    const black = (0 - subtract) * multiply;
    values.fill(black);
    return { values, black, ofPoint: multiply / ACROSS.length };
  });
  // All in variables of their own, as the busy loop below is faster so.
  const [
    { values: reds, black: noRed, ofPoint: ofRed },
    { values: greens, black: noGreen, ofPoint: ofGreen },
    { values: blues, black: noBlue, ofPoint: ofBlue },
  ] = planes as [FramePlane, FramePlane, FramePlane];
  const { pixels, width, height } = picture;
  const columns = placePoints(ACROSS, placement.width, { length: width, stride: 3 });
  const rows = placePoints(DOWN, placement.height, { length: height, stride: 3 * width });
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
  /** What the model reads for black, and how much more for each step of each of the four points. */
  black: number;
  ofPoint: number;
}

/** The four points of each pixel along one axis, in places of the picture's array. */
function placePoints(
  shares: number[],
  count: number,
  { length, stride }: { length: number; stride: number },
): Int32Array {
  const step = length / count;
  const spread = Math.max(1, step);
  const points = new Int32Array(shares.length * count);
  for (let i = 0; i < points.length; i++) {
    const middle = (Math.floor(i / shares.length) + 0.5) * step;
    const pixel = Math.floor(middle + (shares[i % shares.length]! - 0.5) * spread);
    points[i] = stride * Math.min(Math.max(pixel, 0), length - 1);
  }
  return points;
}

/** From shares (0..1) of the frame to pixels of the picture. */
export function toPictureBox(
  box: Box,
  placement: Placement,
  { frame, picture }: { frame: Size; picture: Size },
): Box {
  const toX = (share: number) =>
    ((share * frame.width - placement.left) * picture.width) / placement.width;
  const toY = (share: number) =>
    ((share * frame.height - placement.top) * picture.height) / placement.height;
  return {
    left: toX(box.left),
    top: toY(box.top),
    right: toX(box.right),
    bottom: toY(box.bottom),
  };
}
