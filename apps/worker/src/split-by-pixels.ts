import { inspectHeader } from '@livegate/core';

/** About 300 MB of pixels, eight photos of 12 megapixels; a decoder may need as much again. */
export const MAX_PIXELS_AT_ONCE = 100_000_000;

export interface PixelLimits {
  /** Largest accepted picture, width times height. */
  maxImagePixels: number;
  maxPixelsAtOnce: number;
}

/**
 * Cuts a batch, in order, into groups that may lie decoded in memory at the same time. A group has
 * at most `maxPixelsAtOnce`, or is a single image.
 */
export function splitByPixels(images: Uint8Array[], limits: PixelLimits): Uint8Array[][] {
  const groups: Uint8Array[][] = [];
  let room = 0;
  for (const image of images) {
    const pixels = countPixels(image, limits.maxImagePixels);
    if (groups.length === 0 || pixels > room) {
      groups.push([]);
      room = limits.maxPixelsAtOnce;
    }
    groups.at(-1)!.push(image);
    room -= pixels;
  }
  return groups;
}

/** None for an image that will be refused: it is never decoded. */
function countPixels(image: Uint8Array, maxImagePixels: number): number {
  try {
    const { width, height } = inspectHeader(image, maxImagePixels);
    return width * height;
  } catch {
    return 0;
  }
}
