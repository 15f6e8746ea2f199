import { inspectHeader } from '@livegate/core';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { notImages, unsupportedImages } from '../../../../test/fixtures/not-jpeg-or-png.js';
import * as odd from '../../../../test/fixtures/odd-images.js';
import { greySquare, selfie } from '../../../../test/fixtures/photos.js';
import { allowOnlyJpegAndPng, decodeImage } from './decode-image.js';
import type { Picture } from './picture.js';

const upright = await decode(await selfie());

allowOnlyJpegAndPng();

test('a photo becomes three bytes a pixel', () => {
  expect(upright).toMatchObject({ width: 576, height: 704 });
  expect(upright.pixels).toHaveLength(3 * 576 * 704);
});

test.each([1, 700])('%i pixel(s) wide, a decoded image moves to another thread', async (width) => {
  const { jpeg } = await greySquare();
  const picture = await decode(await sharp(jpeg).resize(width, width).png().toBuffer());
  const [pixel] = picture.pixels;
  const memory = picture.pixels.buffer as ArrayBuffer;
  const moved = structuredClone(picture, { transfer: [memory] });
  // Had it been copied, as Node 20 does without a word, it would still be here.
  expect(memory.byteLength).toBe(0);
  expect(moved).toMatchObject({ width, height: width });
  expect(moved.pixels.buffer.byteLength).toBe(3 * width * width);
  expect(moved.pixels.every((value) => value === pixel)).toBe(true);
});

test.each(odd.orientations)('EXIF orientation %i is applied', async (orientation) => {
  const image = await odd.oriented(await selfie(), orientation);
  expect(await differenceFromUpright(image)).toBeLessThan(1);
});

test('a 16-bit PNG has the pixels of the photo it was made from', async () => {
  expect(await differenceFromUpright(await odd.sixteenBitPng(await selfie()))).toBe(0);
});

test('grayscale and CMYK become RGB', async () => {
  // In gray levels: what colour is lost, and what the conversion to printing inks and back costs.
  expect(await differenceFromUpright(await odd.grayscaleJpeg(await selfie()))).toBeLessThan(10);
  expect(await differenceFromUpright(await odd.cmykJpeg(await selfie()))).toBeLessThan(15);
});

test('what is transparent shows white, as a viewer shows it', async () => {
  const half = await decode(await odd.alphaPng(await selfie()));
  expect(half.pixels[0]).toBeCloseTo((upright.pixels[0]! + 255) / 2, -1);
});

test('a phone’s JPEG with invalid scan parameters is not refused', async () => {
  const image = odd.withInvalidScanParameters(await selfie());
  expect(await differenceFromUpright(image)).toBe(0);
});

test('a tiny file that claims too many pixels is refused by its header', async () => {
  await expect(decode(odd.pngBomb())).rejects.toMatchObject({
    code: 'image_dimensions_exceeded',
  });
});

test('one side may not be longer than any camera makes it, however few the pixels', async () => {
  await expect(decode(odd.tallPng())).rejects.toMatchObject({
    code: 'image_dimensions_exceeded',
    publicMessage: 'the image has a side of more than 20000 pixels',
  });
});

test('of a PNG, the decoder sees only what the pixels need', async () => {
  const png = await odd.sixteenBitPng(await selfie());
  expect(await differenceFromUpright(odd.withTextBomb(png))).toBe(0);
  // A chunk that a decoder must understand, or else refuse the image.
  const critical = odd.withPngChunk(png, 'ABCD', Buffer.alloc(9));
  expect(await differenceFromUpright(critical)).toBe(0);
});

test('a PNG is turned as its eXIf chunk says', async () => {
  const turned = await sharp(await odd.oriented(await selfie(), 6))
    .withMetadata({ orientation: 6 })
    .png()
    .toBuffer();
  expect(turned.includes('eXIf')).toBe(true);
  expect(await differenceFromUpright(turned)).toBeLessThan(1);
});

test('a progressive JPEG is a photo like any other', async () => {
  expect(await differenceFromUpright(await odd.progressiveJpeg(await selfie()))).toBeLessThan(3);
});

test('a JPEG with more scans than any encoder makes is refused', async () => {
  await expect(decode(await odd.scanBomb())).rejects.toMatchObject({
    code: 'invalid_image',
    publicMessage: 'the image is a JPEG of more than 100 scans',
  });
  expect(await decode(await odd.scanBomb(50))).toMatchObject({ width: 64 });
});

describe('refused as invalid_image:', () => {
  test.each(Object.entries({ ...unsupportedImages, ...notImages }))('%s', async (_, bytes) => {
    await expectInvalid(bytes);
  });

  test('a truncated JPEG', async () => {
    await expectInvalid(odd.truncated(await selfie()));
  });

  test('a truncated PNG', async () => {
    await expectInvalid(odd.truncated(await odd.sixteenBitPng(await selfie())));
  });

  test('a PNG with a broken checksum', async () => {
    const png = await odd.sixteenBitPng(await selfie());
    png[png.length >> 1]! ^= 1;
    await expectInvalid(png);
  });

  test('nothing but the first bytes of a JPEG', async () => {
    await expectInvalid((await selfie()).subarray(0, 20));
  });
});

async function decode(bytes: Uint8Array): Promise<Picture> {
  return await decodeImage(bytes, inspectHeader(bytes, 1_000_000));
}

async function expectInvalid(bytes: Uint8Array): Promise<void> {
  await expect(decode(bytes)).rejects.toMatchObject({ code: 'invalid_image' });
}

/** Mean absolute difference per channel, 0..255. */
async function differenceFromUpright(image: Uint8Array): Promise<number> {
  const picture = await decode(image);
  expect(picture).toMatchObject({ width: upright.width, height: upright.height });
  const total = picture.pixels.reduce((sum, v, i) => sum + Math.abs(v - upright.pixels[i]!), 0);
  return total / picture.pixels.length;
}
