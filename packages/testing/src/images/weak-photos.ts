import type { QualityCode } from '@livegate/core/domain';
import sharp, { type Sharp } from 'sharp';
import { face } from './photos.js';

/** The most upright of the sample faces; its size and that of the face box, in pixels. */
const NAME = 'photo 3 middle';
const WIDTH = 720;
const HEIGHT = 880;
const FACE = 307;

/** How the photo is made weak. The first code of the picture is the one named here. */
const degrade: Record<QualityCode, (photo: Sharp) => Sharp | Promise<Sharp>> = {
  image_rotated: (photo) => photo.rotate(90),
  face_too_close: (photo) => photo.extract({ left: 124, top: 135, width: 460, height: 460 }),
  face_cropped: (photo) => photo.extract({ left: 300, top: 0, width: WIDTH - 300, height: HEIGHT }),
  face_too_small: (photo) => photo.resize({ width: Math.round((28 / FACE) * WIDTH) }),
  face_turned: async (photo) => sharp(await tiltPhoto(await photo.png().toBuffer(), -35)),
  image_too_dark: (photo) => photo.linear(0.25, 0),
  image_too_bright: (photo) => photo.linear(2.3, 0),
  image_too_blurry: (photo) => photo.blur(0.035 * FACE),
  face_off_center: (photo) => photo.extend({ right: 1500, extendWith: 'copy' }),
};

/** A selfie, degraded so that this is its first quality code, as JPEG. */
export async function weakSelfie(code: QualityCode): Promise<Buffer> {
  // Decoded before: sharp has an order of its own for the steps of one pipeline.
  const photo = sharp(
    await sharp(await face(NAME))
      .png()
      .toBuffer(),
  );
  const weak = await degrade[code](photo);
  return weak.jpeg({ quality: 92 }).toBuffer();
}

/**
 * Rotates a photo and cuts out its old size, as a tilted camera would. Its edges are repeated outwards
 * before: a flat surround would be cut off, and the photo put straight.
 */
export async function tiltPhoto(photo: Buffer, degrees: number): Promise<Buffer> {
  const { width, height } = await sharp(photo).metadata();
  const side = Math.round(Math.hypot(width, height));
  const [x, y] = [Math.ceil((side - width) / 2), Math.ceil((side - height) / 2)];
  const wide = sharp(photo).extend({ left: x, right: x, top: y, bottom: y, extendWith: 'copy' });
  const rotated = sharp(await wide.png().toBuffer()).rotate(degrees);
  const { data, info } = await rotated.png().toBuffer({ resolveWithObject: true });
  const left = Math.round((info.width - width) / 2);
  const top = Math.round((info.height - height) / 2);
  return sharp(data).extract({ left, top, width, height }).jpeg({ quality: 92 }).toBuffer();
}
