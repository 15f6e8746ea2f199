import sharp from 'sharp';
import { fillBlack, writeRow } from './image-tensor.js';
import type { ImageTensor } from './image-tensor.js';
import type { Box, Picture } from './picture.js';

export interface Size {
  width: number;
  height: number;
}

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

/** Fills the tensor with the whole picture, at its place on black. */
export async function letterbox(
  picture: Picture,
  placement: Placement,
  tensor: ImageTensor,
): Promise<void> {
  const small = await shrink(picture, placement);
  const rowLength = 3 * placement.width;
  fillBlack(tensor);
  for (let y = 0; y < placement.height; y++) {
    const row = small.subarray(y * rowLength, (y + 1) * rowLength);
    writeRow(row, { x: placement.left, y: placement.top + y }, tensor);
  }
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

async function shrink({ pixels, width, height }: Picture, to: Size): Promise<Buffer> {
  // The size was judged when the picture was decoded. A triangle of two target pixels' width is
  // libvips' nearest to averaging the area, and found the right number of faces as often.
  return sharp(pixels, { raw: { width, height, channels: 3 }, limitInputPixels: false })
    .resize(to.width, to.height, { fit: 'fill', kernel: 'linear' })
    .raw()
    .toBuffer();
}
