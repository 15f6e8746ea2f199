import type { Resize, View } from '../model-manifest.js';
import { writeRow } from './image-tensor.js';
import type { ImageTensor } from './image-tensor.js';
import { longerSide } from './picture.js';
import type { Box, Picture } from './picture.js';
import { sampleAxis } from './sample-axis.js';
import type { Tap } from './sample-axis.js';

export interface Crop {
  face: Box;
  view: View;
  resize: Resize;
}

/**
 * Fills the tensor with one view of a face, read from the full-resolution pixels: the classifier
 * judges texture, and a picture shrunk beforehand has lost what it looks for.
 */
export function cropView(picture: Picture, crop: Crop, tensor: ImageTensor): void {
  const { width, height } = tensor.input;
  const { left, top, side } = squareAround(crop.face, crop.view.scale);
  const how = { fill: crop.view.fill, resize: crop.resize };
  const columns = sampleAxis({ start: left, length: side }, width, {
    length: picture.width,
    ...how,
  });
  const rows = sampleAxis({ start: top, length: side }, height, { length: picture.height, ...how });
  for (const [y, rowTaps] of rows.entries()) {
    writeRow(blendRow(picture, rowTaps, columns), { x: 0, y }, tensor);
  }
}

/** A square of `scale` times the longer side of the box, around the box's centre. */
export function squareAround(box: Box, scale: number): { left: number; top: number; side: number } {
  const side = scale * longerSide(box);
  return {
    left: (box.left + box.right - side) / 2,
    top: (box.top + box.bottom - side) / 2,
    side,
  };
}

/** One output row as interleaved R, G, B. */
function blendRow(picture: Picture, rowTaps: Tap[], columns: Tap[][]): Float32Array {
  const blended = new Float32Array(3 * columns.length);
  for (const tap of rowTaps) addRow(blended, { picture, ...tap }, columns);
  return blended;
}

function addRow(
  sum: Float32Array,
  { picture, pixel: y, weight }: Tap & { picture: Picture },
  columns: Tap[][],
): void {
  const rowStart = 3 * y * picture.width;
  let out = 0;
  for (const taps of columns) {
    for (const tap of taps) {
      const from = rowStart + 3 * tap.pixel;
      const share = weight * tap.weight;
      sum[out]! += share * picture.pixels[from]!;
      sum[out + 1]! += share * picture.pixels[from + 1]!;
      sum[out + 2]! += share * picture.pixels[from + 2]!;
    }
    out += 3;
  }
}
