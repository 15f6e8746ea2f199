import sharp from 'sharp';
import { expect, test } from 'vitest';
import * as odd from '@livegate/testing/images/odd-images';
import { stripPng } from './prepare-png.js';

const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
  .withIccProfile('p3')
  .withExif({ IFD0: { Artist: 'me' } })
  .png()
  .toBuffer();
const stripped = Buffer.from(stripPng(png, true));

test('stripPng keeps pixels, colors and orientation in their order', () => {
  expect(typesOf(stripped)).toEqual(['IHDR', 'iCCP', 'eXIf', 'IDAT', 'IEND']);
});

test('stripPng drops chunks after the pixels, even those that are valid before them', () => {
  const after: odd.PngChunk[] = [
    ['gAMA', odd.uint32s(100_000)],
    ['eXIf', odd.exif(6)],
  ];
  const plain = odd.flatPng([1, 2, 3]);
  expect(stripPng(odd.flatPng([1, 2, 3], { after }), true)).toEqual(plain);
});

test('stripPng replaces several color chunks by one profile', () => {
  const before: odd.PngChunk[] = [
    ['gAMA', odd.uint32s(100_000)],
    ['cICP', Buffer.from([12, 13, 0, 1])],
  ];
  const file = Buffer.from(stripPng(odd.flatPng([1, 2, 3], { before }), true));
  expect(typesOf(file)).toEqual(['IHDR', 'iCCP', 'IDAT', 'IEND']);
});

test.each(['zTXt', 'iTXt', 'tEXt', 'pHYs', 'vpAg'])('stripPng drops %s', (type) => {
  expect(stripPng(odd.withPngChunk(png, type, Buffer.alloc(99)), true)).toEqual(stripped);
});

test('stripPng drops compressed text before the decoder sees it', () => {
  expect(stripPng(odd.withTextBomb(png), true)).toEqual(stripped);
});

test('stripPng drops data after the end of the picture', () => {
  expect(stripPng(Buffer.concat([png, Buffer.alloc(100)]), true)).toEqual(stripped);
});

test('stripPng keeps a truncated chunk truncated', () => {
  expect(stripPng(stripped.subarray(0, -20), true)).toEqual(stripped.subarray(0, -20));
});

test('stripPng reads a view into a larger buffer', () => {
  expect(stripPng(Buffer.concat([Buffer.alloc(3), png]).subarray(3), true)).toEqual(stripped);
});

/** The chunk types in order; consecutive chunks of one type are listed once. */
function typesOf(file: Buffer): string[] {
  const types: string[] = [];
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at)) {
    const type = file.toString('latin1', at + 4, at + 8);
    if (types.at(-1) !== type) types.push(type);
  }
  return types;
}
