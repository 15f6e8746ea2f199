import type { QualityCode } from '@livegate/core/domain';
import sharp, { type Sharp } from 'sharp';
import { selfie } from './photos.js';

/** The size of the selfie and of its face, in pixels. */
const WIDTH = 576;
const HEIGHT = 704;
const FACE = 237;

/** How the selfie is made weak. The first code of the picture is the one named here. */
const degrade: Record<Exclude<QualityCode, 'image_rotated'>, (photo: Sharp) => Sharp> = {
  face_too_close: (photo) => photo.extract({ left: 110, top: 130, width: 350, height: 350 }),
  // Half of the width is gone, and its mirror image is put in place of the background.
  face_cropped: (photo) => photo.extract({ left: 240, top: 0, width: WIDTH - 240, height: HEIGHT }),
  face_too_small: (photo) => photo.resize({ width: Math.round((28 / FACE) * WIDTH) }),
  face_turned: (photo) => photo.rotate(40, { background: 'gray' }),
  image_too_dark: (photo) => photo.linear(0.25, 0),
  image_too_bright: (photo) => photo.linear(2.6, 0),
  image_too_blurry: (photo) => photo.blur(0.035 * FACE),
  face_off_center: (photo) => photo.extend({ right: 1500, extendWith: 'copy' }),
};

export type WeakPhotoCode = keyof typeof degrade;

export const weakPhotoCodes = Object.keys(degrade) as WeakPhotoCode[];

/** The selfie, degraded so that this is its first quality code, as JPEG. */
export async function weakSelfie(code: WeakPhotoCode): Promise<Buffer> {
  // Decoded before: sharp has an order of its own for the steps of one pipeline.
  const photo = sharp(
    await sharp(await selfie())
      .png()
      .toBuffer(),
  );
  return degrade[code](photo).jpeg({ quality: 92 }).toBuffer();
}
