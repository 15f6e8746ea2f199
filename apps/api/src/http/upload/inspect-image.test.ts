import { describe, expect, test } from 'vitest';
import { notImages, unsupportedImages } from '@livegate/testing/images/not-jpeg-or-png';
import * as odd from '@livegate/testing/images/odd-images';
import { selfie } from '@livegate/testing/images/photos';
import { inspectImage } from './read-upload.js';

const inspect = (bytes: Uint8Array) => inspectImage(bytes, 52_000_000);
const svg = '<svg xmlns="http://www.w3.org/2000/svg"></svg>';

describe('inspectImage accepts', () => {
  test('a photo as JPEG, as progressive JPEG and as 16-bit PNG', async () => {
    await expect(inspect(await selfie())).resolves.toMatchObject({
      kind: expect.stringMatching(/jpeg|png/),
    });
    await expect(inspect(await odd.progressiveJpeg(await selfie()))).resolves.toMatchObject({
      kind: expect.stringMatching(/jpeg|png/),
    });
    await expect(inspect(await odd.sixteenBitPng(await selfie()))).resolves.toMatchObject({
      kind: expect.stringMatching(/jpeg|png/),
    });
  });

  test('a PNG with a text bomb, without reading its text', async () => {
    const png = odd.withTextBomb(await odd.sixteenBitPng(await selfie()));
    await expect(inspect(png)).resolves.toMatchObject({ kind: expect.stringMatching(/jpeg|png/) });
  });
});

describe('inspectImage refuses by its name', () => {
  test.each<[string, string, Buffer]>([
    ['a GIF', 'image/gif', unsupportedImages.gif],
    ['a PDF', 'application/pdf', unsupportedImages.pdf],
    ['a TIFF whose directory is at its end', 'image/tiff', tiffEndingInDirectory()],
    ['an SVG after white space', 'image/svg+xml', Buffer.from(`\n ${svg}`)],
    ['an SVG after a long comment', 'image/svg+xml', Buffer.from(longComment() + svg)],
    ['an SVG with a byte order mark', 'image/svg+xml', Buffer.from(`\u{feff}${svg}`)],
    ['a little-endian UTF-16 SVG', 'image/svg+xml', Buffer.from(`\u{feff}${svg}`, 'utf16le')],
    ['a big-endian UTF-16 SVG', 'image/svg+xml', Buffer.from(`\u{feff}${svg}`, 'utf16le').swap16()],
  ])('%s', async (_name, kind, bytes) => {
    await expect(inspect(bytes)).rejects.toMatchObject({
      code: 'unsupported_image_type',
      publicMessage: `only JPEG and PNG images are supported, this is ${kind}`,
    });
  });
});

describe('inspectImage refuses as invalid_image', () => {
  test.each(Object.entries(notImages))('%s', async (_name, bytes) => {
    await expect(inspect(bytes)).rejects.toMatchObject({ code: 'invalid_image' });
  });

  test.each(['<html></html>', `see ${svg}`])('text that is not an SVG: %s', async (text) => {
    await expect(inspect(Buffer.from(text))).rejects.toMatchObject({ code: 'invalid_image' });
  });

  test('a JPEG behind an ID3 tag, which only some readers accept', async () => {
    const tag = Buffer.from('ID3\x03\0\0\0\0\0\0', 'latin1');
    const tagged = Buffer.concat([tag, await selfie()]);
    await expect(inspect(tagged)).rejects.toMatchObject({ code: 'invalid_image' });
  });

  test('a JPEG with endless scans, and tells the sender why', async () => {
    await expect(inspect(await odd.scanBomb())).rejects.toMatchObject({
      code: 'invalid_image',
      publicMessage: 'the image is a JPEG of more than 100 scans',
    });
  });
});

test.each([
  ['40000x40000', odd.pngBomb()],
  ['1x1000000', odd.tallPng()],
])('inspectImage refuses a PNG of %s for its dimensions', async (_name, png) => {
  await expect(inspect(png)).rejects.toMatchObject({ code: 'image_dimensions_exceeded' });
});

function tiffEndingInDirectory(): Buffer {
  const tiff = Buffer.alloc(10_000);
  tiff.write('II*\0');
  tiff.writeUInt32LE(9000, 4);
  return tiff;
}

function longComment(): string {
  return `<!-- ${'drawn by hand '.repeat(200)}-->`;
}
