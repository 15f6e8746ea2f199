import { selfie } from '@livegate/testing/images/photos';
import sharp, { type Sharp } from 'sharp';
import { expect, it } from 'vitest';
import { findWeakness, type Luma, measureFrame, scoreFrame, toLuma } from './measure-frame.js';

const size = { width: 130, height: 160 };
/** Around the face. */
const area = { x: 33, y: 49, width: 66, height: 61 };

async function lumaOf(edit: (photo: Sharp) => Sharp = (photo) => photo): Promise<Luma> {
  const small = await sharp(await selfie())
    .resize({ ...size, fit: 'fill' })
    .toBuffer();
  const rgba = await edit(sharp(small)).ensureAlpha().raw().toBuffer();
  return toLuma(new Uint8ClampedArray(rgba), size.width, size.height);
}

const shifted = (pixels: number) => (photo: Sharp) =>
  photo.extend({ left: pixels, background: 'gray' }).extract({ left: 0, top: 0, ...size });

it.each<[string, string | undefined, (photo: Sharp) => Sharp]>([
  ['a selfie', undefined, (photo) => photo],
  ['a selfie in the dark', 'image_too_dark', (photo) => photo.linear(0.2)],
  ['an overexposed selfie', 'image_too_bright', (photo) => photo.linear(8)],
  ['a blurred selfie', 'image_too_blurry', (photo) => photo.blur(3)],
])('%s is judged as %s', async (_name, weakness, edit) => {
  expect(findWeakness(measureFrame(await lumaOf(edit), area))).toBe(weakness);
});

it('a face that moves is told to hold still; a sensor that adapts its exposure is not', async () => {
  const still = await lumaOf();
  const judge = async (edit: (photo: Sharp) => Sharp) =>
    findWeakness(measureFrame(await lumaOf(edit), area, still));
  expect(await judge(shifted(8))).toBe('hold_still');
  expect(await judge((photo) => photo.linear(1, 20))).toBeUndefined();
});

it('a sharp, still frame scores above one that is softer, or that moves', async () => {
  const still = await lumaOf();
  const scoreOf = async (edit: (photo: Sharp) => Sharp) =>
    scoreFrame(measureFrame(await lumaOf(edit), area, still));
  const best = await scoreOf((photo) => photo);
  expect(await scoreOf((photo) => photo.blur(1))).toBeLessThan(best);
  expect(await scoreOf(shifted(2))).toBeLessThan(best);
});
