import type { ImageHeader } from '@livegate/core/domain';
import type { Picture } from '../picture.js';

/**
 * Factors by which a large JPEG is shrunk while it is decoded. sharp uses the next smaller power of
 * two of the decoder (8, 4, 2), which skips most of its work, and its own resize for the rest; it
 * does not use the power of two itself.
 */
const FACTORS = [9, 5, 3];

/** The power of two by which the decoder divides each side for one of the factors. */
export function decoderPower(factor: number): number {
  return factor - 1;
}

/**
 * A first look has at least this many pixels on its longer side: more than twice the detector's
 * frame, and a selfie's face, a quarter of it, mostly has as many as it needs.
 */
const FIRST_LOOK = 800;

/**
 * Least pixels of a face in a shrunk picture. The 2.0 crop then has three for each pixel of the
 * classifier's input, and each cell of the face grid has three.
 */
export const LEAST_FACE = 192;

/** The factor for a picture whose faces are not known yet; 1 if it is not shrunk. */
export function firstFactor(header: ImageHeader): number {
  const side = Math.max(header.width, header.height);
  return largestFactor(header, side / FIRST_LOOK);
}

/** The factor for a second look at a face that was found in a shrunk picture; 1 without a face. */
export function secondFactor(header: ImageHeader, { facePixels }: TooSmall): number {
  return largestFactor(header, facePixels / LEAST_FACE);
}

function largestFactor(header: ImageHeader, most: number): number {
  return canShrink(header) ? (FACTORS.find((factor) => factor <= most) ?? 1) : 1;
}

/** Not CMYK, whose conversion needs the pixels of the file; and no PNG, which has no such decoder. */
function canShrink(header: ImageHeader): boolean {
  return header.kind === 'jpeg' && header.components !== 4;
}

/** What a shrunk picture shows is too small to be judged: it needs a second look. */
export interface TooSmall {
  kind: 'too_small';
  /** The face's longer side in pixels of the file; 0 if none was found. */
  facePixels: number;
}

/** What to look at again in a shrunk picture: a small face, or a small content without one. */
export function findTooSmall(
  { width, height, shrunkBy = 1 }: Picture,
  facePixels: number | undefined,
): TooSmall | undefined {
  if (shrunkBy === 1) return undefined;
  if (facePixels === undefined) {
    // A surround around the content was removed.
    const isSmall = Math.max(width, height) < FIRST_LOOK / 2;
    return isSmall ? { kind: 'too_small', facePixels: 0 } : undefined;
  }
  const isSmall = facePixels < LEAST_FACE;
  return isSmall ? { kind: 'too_small', facePixels: facePixels * shrunkBy } : undefined;
}
