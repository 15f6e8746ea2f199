import type { Picture } from '@livegate/worker/inference/picture';

/** The pixels of a picture as a viewer shows them: [height, width, 3] from the top left. */
export function rowsOf(picture: Picture): Uint8Array {
  const { pixels, width, height, topLeft, toRight, toBelow } = picture;
  return Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return pixels[topLeft + x * toRight + y * toBelow + (i % 3)]!;
  });
}
