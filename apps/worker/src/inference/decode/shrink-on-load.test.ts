import { inspectHeader } from '@livegate/core/domain';
import * as odd from '@livegate/testing/images/odd-images';
import { selfie } from '@livegate/testing/images/photos';
import { rowsOf } from '@livegate/testing/images/picture-rows';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { createDecodeImage } from './decode-image.js';
import { isSrgb } from './icc-profile.js';
import { findTooSmall, firstFactor, LEAST_FACE, secondFactor } from './shrink-on-load.js';
import { fromRows } from '../picture.js';

const decodeImage = createDecodeImage(1);
const LARGE = 4_000_000;

/** A phone's photo: large, with a profile of its own, and turned by its orientation tag. */
const phonePhoto = await sharp(await selfie())
  .resize({ height: 2400 })
  .rotate(-90)
  .withIccProfile('p3')
  .withMetadata({ orientation: 6 })
  .jpeg({ quality: 90 })
  .toBuffer();

const progressive = await odd.progressiveJpeg(phonePhoto);

const look = async (image: Uint8Array, factor?: number) =>
  decodeImage(image, inspectHeader(image, LARGE * 2), factor);

const whole = await look(phonePhoto);

describe('a JPEG that is shrunk while it is decoded', () => {
  test.each([3, 5, 9])(
    'has the colors and the orientation of all its pixels, at 1/%i',
    async (by) => {
      const shrunk = await look(phonePhoto, by);
      expect(whole.height).toBeGreaterThan(whole.width);
      expect(shrunk.height).toBe(Math.floor(whole.height / by));
      expect(shrunk.shrunkBy).toBeCloseTo(by, 1);
      const { width, height } = shrunk;
      const reference = await sharp(rowsOf(whole), {
        raw: { width: whole.width, height: whole.height, channels: 3 },
      })
        .resize(width, height, { fit: 'fill' })
        .raw()
        .toBuffer();
      const total = rowsOf(shrunk).reduce(
        (sum, value, i) => sum + Math.abs(value - reference[i]!),
        0,
      );
      expect(total / reference.length).toBeLessThan(2);
    },
  );

  test.each<[string, Buffer]>([
    ['a truncated file', odd.truncated(phonePhoto)],
    ['a truncated progressive file', progressive.subarray(0, -1000)],
  ])('is refused like the whole picture: %s', async (_name, image) => {
    await expect(look(image, 5)).rejects.toMatchObject({ code: 'invalid_image' });
  });
});

describe('the factor', () => {
  const jpeg = { kind: 'jpeg', components: 3, hasEnd: true } as const;
  const cost = { samples: 0, heldBytes: 0 };
  const headerOf = (side: number) => ({ ...jpeg, cost, width: side, height: side / 2 });

  test.each([
    [800, 1],
    [2399, 1],
    [2400, 3],
    [4032, 5],
    [7200, 9],
    [12_000, 9],
  ])('of a first look at %i pixels is %i', (side, factor) => {
    expect(firstFactor(headerOf(side))).toBe(factor);
  });

  test.each([
    [3 * LEAST_FACE - 1, 1],
    [3 * LEAST_FACE, 3],
    [5 * LEAST_FACE, 5],
  ])('of a second look at a face of %i pixels is %i', (facePixels, factor) => {
    expect(secondFactor(headerOf(4032), { kind: 'too_small', facePixels })).toBe(factor);
  });

  test('of CMYK and PNG is 1', async () => {
    expect(firstFactor({ ...headerOf(4032), components: 4 })).toBe(1);
    const png = { kind: 'png', bitDepth: 8, hasColor: true } as const;
    expect(firstFactor({ ...png, cost, width: 4032, height: 3024 })).toBe(1);
  });
});

test('a face is looked at again if a shrunk picture has fewer than 192 pixels of it', () => {
  const picture = fromRows({ width: 600, height: 800, pixels: new Uint8Array(3 * 600 * 800) });
  const shrunk = { ...picture, shrunkBy: 5 };
  expect(findTooSmall(shrunk, 192)).toBeUndefined();
  expect(findTooSmall(shrunk, 191)).toEqual({ kind: 'too_small', facePixels: 955 });
  expect(findTooSmall(picture, 100)).toBeUndefined();
});

test('a picture without a face is looked at again only if it was cut out of a surround', () => {
  const picture = fromRows({ width: 300, height: 390, pixels: new Uint8Array(3 * 300 * 390) });
  const content = { ...picture, shrunkBy: 5 };
  expect(findTooSmall(content, undefined)).toEqual({ kind: 'too_small', facePixels: 0 });
  expect(findTooSmall({ ...content, height: 800 }, undefined)).toBeUndefined();
});

async function profileIn(name: string): Promise<Buffer> {
  const create = { width: 8, height: 8, channels: 3, background: 'tan' } as const;
  return odd.profileOf(await sharp({ create }).withIccProfile(name).jpeg().toBuffer());
}

const srgb = await profileIn('srgb');
const p3 = await profileIn('p3');

describe('an sRGB profile', () => {
  test('is recognized, unlike Display P3', () => {
    expect(isSrgb(srgb)).toBe(true);
    expect(isSrgb(p3)).toBe(false);
  });

  test('is not applied, which would change no channel by more than a level', async () => {
    const plain = await selfie();
    const tagged = odd.withJpegSegment(
      plain,
      0xe2,
      Buffer.concat([Buffer.from('ICC_PROFILE\0\x01\x01', 'latin1'), srgb]),
    );
    const [without, withProfile] = [await look(plain), await look(tagged)];
    expect(Buffer.compare(withProfile.pixels, without.pixels)).toBe(0);
    const applied = await sharp(tagged).raw().toBuffer();
    const furthest = applied.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - without.pixels[i]!)),
      0,
    );
    expect(furthest).toBeLessThanOrEqual(1);
  });
});
