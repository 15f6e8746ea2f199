import { inspectHeader } from '@livegate/core/domain';
import * as photos from '@livegate/testing/images/photos';
import {
  personBeforeWall,
  tilted,
  tiltedInPlace,
  withBars,
} from '@livegate/testing/images/surrounds';
import { rowsOf } from '@livegate/testing/images/picture-rows';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { createDecodeImage } from '../decode/decode-image.js';
import { cutPicture, fromRows, mirrorPicture, type Picture, turnPicture } from '../picture.js';
import { removeSurround } from './remove-surround.js';

const decodeImage = createDecodeImage(1);

async function decode(bytes: Buffer): Promise<Picture> {
  return await decodeImage(bytes, inspectHeader(bytes, 4_000_000));
}

const photo = await photos.face('photo 3 left');
const original = await decode(photo);

/** Mean difference of two pictures in their common middle, in levels of 0..255. */
function differenceOf(a: Picture, b: Picture): number {
  const [width, height] = [Math.min(a.width, b.width), Math.min(a.height, b.height)];
  const [middleOfA, middleOfB] = [a, b].map((picture) => {
    const left = Math.round((picture.width - width) / 2);
    const top = Math.round((picture.height - height) / 2);
    return rowsOf(cutPicture(picture, { left, top, width, height }));
  });
  const total = middleOfA!.reduce((sum, v, i) => sum + Math.abs(v - middleOfB![i]!), 0);
  return total / middleOfA!.length;
}

function expectSize(found: Picture, { width, height }: Picture, tolerance: number): void {
  expect(Math.abs(found.width - width)).toBeLessThanOrEqual(tolerance);
  expect(Math.abs(found.height - height)).toBeLessThanOrEqual(tolerance);
}

describe.each(['black', 'white', 'gray', '#336699'])('removeSurround of %s', (color) => {
  test.each([
    { left: 200, right: 200 },
    { top: 150, bottom: 90 },
    { left: 60, right: 60, top: 300, bottom: 300 },
  ])('cuts off the bars %j', async (sides) => {
    const { picture: content } = removeSurround(await decode(await withBars(photo, color, sides)));
    expectSize(content, original, 8);
    expect(differenceOf(content, original)).toBeLessThan(8);
  });

  test.each([15, -15, 30, -30, 44, 7])('puts a photo straight that is tilted by %d', async (by) => {
    const { picture: content } = removeSurround(await decode(await tilted(photo, by, color)));
    expectSize(content, original, 12);
    expect(differenceOf(content, original)).toBeLessThan(8);
  });

  test.each([15, -30, 40])('puts it straight when its corners are cut off: %d', async (by) => {
    const { picture: content } = removeSurround(
      await decode(await tiltedInPlace(photo, by, color)),
    );
    // The corners are lost, so only the middle is compared.
    const middle = differenceOf(centerOf(content), centerOf(original));
    expect(middle).toBeLessThan(10);
  });
});

test.each([45, -45, 30, -15])(
  'removeSurround puts a dark photo straight on black, where parts of its edge are lost: %d',
  async (by) => {
    const { width, height } = original;
    const shadow = (left: number, top: number, across: number, down: number) => ({
      input: { create: { width: across, height: down, channels: 3, background: 'black' } } as const,
      left,
      top,
    });
    const dark = await sharp(photo)
      .composite([
        shadow(0, Math.round(height * 0.25), 70, Math.round(height * 0.55)),
        shadow(Math.round(width * 0.3), height - 70, Math.round(width * 0.5), 70),
        shadow(width - 70, Math.round(height * 0.4), 70, Math.round(height * 0.3)),
      ])
      .png()
      .toBuffer();
    const { picture } = removeSurround(await decode(await tilted(dark, by, 'black')));
    expectSize(picture, original, 12);
  },
);

test.each([
  ['bars', withBars(photo, 'black', { left: 200, right: 120 })],
  ['a tilted surround', tilted(photo, 15, 'gray')],
])(
  'removeSurround cuts off %s of a turned and mirrored picture like of its copy',
  async (_, image) => {
    const view = turnPicture(mirrorPicture(await decode(await image)), 90);
    const found = removeSurround(view);
    const expected = removeSurround(fromRows({ ...view, pixels: rowsOf(view) }));
    expect(found.content).toBeDefined();
    expect(found.content).toEqual(expected.content);
    expect(Buffer.compare(rowsOf(found.picture), rowsOf(expected.picture))).toBe(0);
  },
);

function centerOf(picture: Picture): Picture {
  const side = 300;
  const left = Math.round((picture.width - side) / 2);
  const top = Math.round((picture.height - side) / 2);
  return cutPicture(picture, { left, top, width: side, height: side });
}

test('removeSurround returns photos without a surround as they are', async () => {
  for (const image of [...(await photos.faces()), await photos.groupPhoto()]) {
    const picture = await decode(image);
    expect(removeSurround(picture).picture).toBe(picture);
  }
});

test.each(['white', 'black', '#8aa'])(
  'removeSurround leaves a person before a wall of %s',
  async (wall) => {
    const picture = await decode(await personBeforeWall(wall));
    expect(removeSurround(picture).picture).toBe(picture);
  },
);

test('removeSurround leaves a round object on black, and a picture of one color', async () => {
  for (const image of [await photos.roundThing(), (await photos.greySquare()).jpeg]) {
    const picture = await decode(image);
    expect(removeSurround(picture).picture).toBe(picture);
  }
});
