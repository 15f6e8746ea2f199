import { planesOf } from './image-tensor.js';
import type { ImageTensor, Plane } from './image-tensor.js';
import type { Box, Picture, Size } from './picture.js';

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
  return centre({ width, height }, frame);
}

export function centre({ width, height }: Size, frame: Size): Placement {
  return {
    left: Math.floor((frame.width - width) / 2),
    top: Math.floor((frame.height - height) / 2),
    width,
    height,
  };
}

/** Fills the tensor with a picture shrunk for it, centred on black. */
export function letterbox(small: Picture, tensor: ImageTensor): void {
  const { left, top } = centre(small, tensor.input);
  const planes = planesOf(tensor);
  const [reds, greens, blues] = planes.map(({ values }) => values) as Triple;
  const [ofRed, ofGreen, ofBlue] = planes.map(tabulate) as Triple;
  reds.fill(ofRed[0]!);
  greens.fill(ofGreen[0]!);
  blues.fill(ofBlue[0]!);
  const { pixels } = small;
  for (let y = 0, from = 0; y < small.height; y++) {
    const start = (top + y) * tensor.input.width + left;
    for (let at = start; at < start + small.width; at++, from += 3) {
      reds[at] = ofRed[pixels[from]!]!;
      greens[at] = ofGreen[pixels[from + 1]!]!;
      blues[at] = ofBlue[pixels[from + 2]!]!;
    }
  }
}

type Triple = [Float32Array, Float32Array, Float32Array];

/** What the model reads, for each of the 256 values of a pixel. */
function tabulate({ subtract, multiply }: Plane): Float32Array {
  return Float32Array.from({ length: 256 }, (_, value) => (value - subtract) * multiply);
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
