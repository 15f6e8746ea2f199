import type { QualityCode } from '@livegate/core/domain';
import { fromRows } from '@livegate/worker/inference/picture';
import { removeSurround } from '@livegate/worker/inference/surround/remove-surround';
import sharp, { type Sharp } from 'sharp';

/** An upright photo of one face, and where the face is, in pixels. */
export interface Photo {
  path: string;
  image: Buffer;
  width: number;
  height: number;
  face: { left: number; top: number; width: number; height: number };
  /** The longer side of the face box. */
  size: number;
}

/** The picture at one level of a degradation; `undefined` if the photo does not allow it. */
export type Degrade = (
  photo: Photo,
  level: number,
) => Sharp | undefined | Promise<Sharp | undefined>;

/** The levels of pictures that must get a code, and of pictures that must not. */
export interface Levels {
  degrade: Degrade;
  weak: number[];
  good: number[];
}

export const levelsOf: Partial<Record<QualityCode, Levels>> = {
  // The side of a square picture around the face, in faces.
  face_too_close: { degrade: cutSquare, weak: [1.2, 1.4, 1.6], good: [2, 2.3, 2.7] },
  // The share of the face box that is cut away, or that is free (negative).
  face_cropped: { degrade: cutFace, weak: [0.2, 0.25, 0.3], good: [-0.5, -0.4, -0.3] },
  // The longer side of the face box, in pixels.
  face_too_small: { degrade: shrink, weak: [24, 28, 32], good: [56, 80, 120] },
  // Degrees clockwise, as from a camera that writes no EXIF tag.
  image_rotated: {
    degrade: ({ image }, degrees) => sharp(image).rotate(degrees),
    weak: [90, 270],
    good: [0],
  },
  // Degrees clockwise.
  face_turned: {
    degrade: tilt,
    weak: [-45, -40, -35, 35, 40, 45],
    good: [-5, 0, 0, 5],
  },
  // The factor of all values.
  image_too_dark: { degrade: multiply, weak: [0.15, 0.2, 0.25], good: [0.6, 0.8, 1] },
  // Stops of exposure.
  image_too_bright: { degrade: expose, weak: [3, 3.5, 4], good: [-1, 0, 0.5] },
  // The standard deviation of a Gaussian blur, in faces.
  image_too_blurry: { degrade: blur, weak: [0.03, 0.04, 0.05], good: [0, 0.005, 0.01] },
  // The distance of the face from the center, as a share of the picture's width.
  face_off_center: { degrade: shift, weak: [0.35, 0.38, 0.4], good: [0.1, 0.15, 0.2] },
};

function cutSquare({ image, width, height, face, size }: Photo, faces: number): Sharp | undefined {
  const side = Math.round(faces * size);
  const left = Math.round(face.left + face.width / 2 - side / 2);
  const top = Math.round(face.top + face.height / 2 - side / 2);
  if (left < 0 || top < 0 || left + side > width || top + side > height) return undefined;
  return sharp(image).extract({ left, top, width: side, height: side });
}

/** From below, where a face leaves the picture most often. */
function cutFace({ image, width, height, face }: Photo, share: number): Sharp | undefined {
  const bottom = Math.round(face.top + (1 - share) * face.height);
  return bottom > height
    ? undefined
    : sharp(image).extract({ left: 0, top: 0, width, height: bottom });
}

function shrink({ image, width, size }: Photo, pixels: number): Sharp | undefined {
  if (pixels > size) return undefined;
  return sharp(image).resize({ width: Math.round((width * pixels) / size) });
}

/**
 * Cuts out the old size, as a tilted camera would. The edges are repeated outwards before. Before a
 * plain background they become a flat surround: the pipeline puts such a picture straight, so it counts
 * for nothing.
 */
async function tilt({ image, width, height }: Photo, degrees: number): Promise<Sharp | undefined> {
  const side = Math.round(Math.hypot(width, height));
  const [x, y] = [Math.ceil((side - width) / 2), Math.ceil((side - height) / 2)];
  const wide = sharp(image).extend({ left: x, right: x, top: y, bottom: y, extendWith: 'copy' });
  const rotated = sharp(await wide.png({ compressionLevel: 1 }).toBuffer()).rotate(degrees);
  const { data, info } = await rotated
    .png({ compressionLevel: 1 })
    .toBuffer({ resolveWithObject: true });
  const left = Math.round((info.width - width) / 2);
  const top = Math.round((info.height - height) / 2);
  const tilted = await sharp(data).extract({ left, top, width, height }).png().toBuffer();
  return (await isPutStraight(tilted)) ? undefined : sharp(tilted);
}

async function isPutStraight(image: Buffer): Promise<boolean> {
  const { data, info } = await sharp(image)
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const { picture: kept } = removeSurround(
    fromRows({ pixels: new Uint8Array(data), width, height }),
  );
  return kept.width !== width || kept.height !== height;
}

function multiply({ image }: Photo, factor: number): Sharp {
  return sharp(image).linear(factor, 0);
}

/** In linear light, as a longer exposure does; the range is clipped at white. */
function expose({ image }: Photo, stops: number): Sharp {
  const gamma = 2.2;
  return sharp(image).linear(2 ** (stops / gamma), 0);
}

function blur({ image, size }: Photo, faces: number): Sharp {
  return faces === 0 ? sharp(image) : sharp(image).blur(Math.max(0.3, faces * size));
}

/**
 * Widens the picture to the right, by repeating its edge. Before a plain background that is a flat
 * surround, which the pipeline cuts off: such a picture counts for nothing.
 */
async function shift({ image, width, face }: Photo, offset: number): Promise<Sharp | undefined> {
  const center = face.left + face.width / 2;
  const right = Math.round(center / (0.5 - offset) - width);
  if (right < 0) return undefined;
  const wide = await sharp(image).extend({ right, extendWith: 'copy' }).png().toBuffer();
  return (await isPutStraight(wide)) ? undefined : sharp(wide);
}
