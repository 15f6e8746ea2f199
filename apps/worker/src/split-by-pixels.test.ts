import { expect, test } from 'vitest';
import { pngBomb } from '../../../test/fixtures/odd-images.js';
import { splitByPixels } from './split-by-pixels.js';

const limits = { maxImagePixels: 100, maxPixelsAtOnce: 100 };

/** The start of a PNG, which is all that is looked at. */
function image(width: number, height: number): Uint8Array {
  const png = Buffer.alloc(33);
  png.write('89504e470d0a1a0a0000000d49484452', 'hex');
  png.writeUInt32BE(width, 16);
  png.writeUInt32BE(height, 20);
  return png;
}

test('a batch of small pictures stays together', () => {
  const images = [image(5, 10), image(3, 10), image(2, 10)];
  expect(splitByPixels(images, limits)).toEqual([images]);
});

test('no group has too many pixels, and the order stays', () => {
  const images = [60, 40, 1, 60, 40].map((width) => image(width, 1));
  const groups = splitByPixels(images, limits);
  expect(groups.map((group) => group.length)).toEqual([2, 2, 1]);
  expect(groups.flat()).toEqual(images);
});

test('a picture above the limit of a group is a group of its own', () => {
  const images = [image(10, 10), image(1, 1)];
  expect(splitByPixels(images, { ...limits, maxPixelsAtOnce: 50 })).toEqual([
    [images[0]],
    [images[1]],
  ]);
});

test('what will be refused takes no room', () => {
  const images = [image(10, 10), pngBomb(), image(11, 10), Buffer.from('text')];
  expect(splitByPixels(images, limits)).toEqual([images]);
});

test('no images, no groups', () => {
  expect(splitByPixels([], limits)).toEqual([]);
});
