import { type AxisTable, drawMeans } from './loops/pixel-loops.js';
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
  const axes = axesOf(picture);
  const source = {
    pixels: picture.pixels,
    columns: placePoints(ACROSS, placement.width, axes.columns),
    rows: placePoints(DOWN, placement.height, axes.rows),
  };
  drawMeans(source, tensor, placement.top * tensor.input.width + placement.left);
}

/** Of each pixel, its four points along one axis. */
function placePoints(
  positions: number[],
  count: number,
  { length, start, stride }: PictureAxis,
): AxisTable {
  const step = length / count;
  const spread = Math.max(1, step);
  const taps = positions.length;
  const offsets = new Int32Array(taps * count);
  for (let i = 0; i < offsets.length; i++) {
    const middle = (Math.floor(i / taps) + 0.5) * step;
    const pixel = Math.floor(middle + (positions[i % taps]! - 0.5) * spread);
    offsets[i] = start + stride * Math.min(Math.max(pixel, 0), length - 1);
  }
  return { offsets, taps };
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
