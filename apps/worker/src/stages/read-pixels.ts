import type { Sharp } from 'sharp';
import type { Picture } from './picture.js';

/** Runs the pipeline to its pixels, 8 bits each. Their memory stays in this thread. */
export async function readPixels(image: Sharp): Promise<Picture> {
  const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  return { pixels: data, width: info.width, height: info.height };
}

/**
 * The picture in memory that can be transferred to another thread.
 *
 * A Buffer's cannot, so it is copied. sharp's `toUint8Array()` copies as well, and what it makes is
 * never given back (sharp 0.35.5, Node 20 and 24): a worker would lose a picture's size with every check.
 */
export function toMovable({ pixels, width, height }: Picture): Picture {
  return { pixels: new Uint8Array(pixels), width, height };
}
