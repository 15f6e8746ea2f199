import type { ModelInput } from '../model-manifest.js';

/** One image's share of a batch: float32 [3, height, width] in the model's channel order. */
export interface ImageTensor {
  values: Float32Array;
  input: ModelInput;
}

/** A batch tensor [count, 3, height, width], whole and as the images that share its memory. */
export function allocateBatch(
  input: ModelInput,
  count: number,
): { batch: Float32Array; images: ImageTensor[] } {
  const size = 3 * input.width * input.height;
  const batch = new Float32Array(count * size);
  const images = Array.from({ length: count }, (_, i) => ({
    values: batch.subarray(i * size, (i + 1) * size),
    input,
  }));
  return { batch, images };
}

/** Writes interleaved R, G, B values (0..255) into row `at.y` from column `at.x`, normalised. */
export function writeRow(
  rgb: ArrayLike<number>,
  at: { x: number; y: number },
  { values, input }: ImageTensor,
): void {
  const start = at.y * input.width + at.x;
  for (let channel = 0; channel < 3; channel++) {
    const plane = input.channels === 'RGB' ? channel : 2 - channel;
    const first = plane * input.width * input.height + start;
    const subtract = input.subtract[plane]!;
    const multiply = input.multiply[plane]!;
    for (let x = 0, from = channel; from < rgb.length; x++, from += 3) {
      values[first + x] = (rgb[from]! - subtract) * multiply;
    }
  }
}

export function fillBlack(tensor: ImageTensor): void {
  const blackRow = new Uint8Array(3 * tensor.input.width);
  for (let y = 0; y < tensor.input.height; y++) writeRow(blackRow, { x: 0, y }, tensor);
}
