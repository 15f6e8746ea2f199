import sharp from 'sharp';
import { expect, test } from 'vitest';
import * as odd from '../../../../../test/harness/images/odd-images.js';
import { stripPng } from './prepare-png.js';

const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
  .withIccProfile('p3')
  .withExif({ IFD0: { Artist: 'me' } })
  .png()
  .toBuffer();
const stripped = Buffer.from(stripPng(png, true));

test('the pixels, the colours and the orientation stay, in their order', () => {
  expect(typesOf(stripped)).toEqual(['IHDR', 'iCCP', 'eXIf', 'IDAT', 'IEND']);
});

test('what follows the pixels is left out, even what counts before them', () => {
  const after: odd.PngChunk[] = [
    ['gAMA', odd.uint32s(100_000)],
    ['eXIf', odd.exif(6)],
  ];
  const plain = odd.flatPng([1, 2, 3]);
  expect(stripPng(odd.flatPng([1, 2, 3], { after }), true)).toEqual(plain);
});

test('colors that are said in several ways become one profile', () => {
  const before: odd.PngChunk[] = [
    ['gAMA', odd.uint32s(100_000)],
    ['cICP', Buffer.from([12, 13, 0, 1])],
  ];
  const file = Buffer.from(stripPng(odd.flatPng([1, 2, 3], { before }), true));
  expect(typesOf(file)).toEqual(['IHDR', 'iCCP', 'IDAT', 'IEND']);
});

test.each(['zTXt', 'iTXt', 'tEXt', 'pHYs', 'vpAg'])('%s is left out', (type) => {
  expect(stripPng(odd.withPngChunk(png, type, Buffer.alloc(99)), true)).toEqual(stripped);
});

test('compressed text never reaches the decoder', () => {
  expect(stripPng(odd.withTextBomb(png), true)).toEqual(stripped);
});

test('what follows the end of the picture is left out', () => {
  expect(stripPng(Buffer.concat([png, Buffer.alloc(100)]), true)).toEqual(stripped);
});

test('a cut chunk stays cut', () => {
  expect(stripPng(stripped.subarray(0, -20), true)).toEqual(stripped.subarray(0, -20));
});

test('a view into a larger buffer is read at its place', () => {
  expect(stripPng(Buffer.concat([Buffer.alloc(3), png]).subarray(3), true)).toEqual(stripped);
});

/** Consecutive chunks of one type count once. */
function typesOf(file: Buffer): string[] {
  const types: string[] = [];
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at)) {
    const type = file.toString('latin1', at + 4, at + 8);
    if (types.at(-1) !== type) types.push(type);
  }
  return types;
}
