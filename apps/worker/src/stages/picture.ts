/** A decoded image, upright: 8-bit RGB, three bytes a pixel, row by row from the top left. */
export interface Picture {
  /** Once decoded, the whole of its ArrayBuffer, which may be transferred to another thread. */
  pixels: Uint8Array;
  width: number;
  height: number;
}

export interface Size {
  width: number;
  height: number;
}

/** A rectangle in pixels of the picture; it may reach beyond the picture's edges. */
export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Face {
  box: Box;
  /** The detector's confidence, 0..1. */
  score: number;
}

/** The longer side of a box: the measure of a face's size throughout. */
export function longerSide(box: Box): number {
  return Math.max(box.right - box.left, box.bottom - box.top);
}
