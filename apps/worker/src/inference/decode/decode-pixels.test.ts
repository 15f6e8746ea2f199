import sharp from 'sharp';
import { expect, test } from 'vitest';
import * as odd from '@livegate/testing/images/odd-images';
import { greySquare } from '@livegate/testing/images/photos';
import { decodePixels, isOurFault, readPixels, toMovable } from './decode-pixels.js';

const SIDE = 1000;
const grey = { width: SIDE, height: SIDE, channels: 3, background: '#808080' } as const;

test('decoded pixels can be transferred to another thread', async () => {
  const { pixels, width, height } = toMovable(await readPixels(sharp({ create: grey })));
  expect({ width, height, bytes: pixels.length }).toEqual({
    width: SIDE,
    height: SIDE,
    bytes: 3 * SIDE * SIDE,
  });
  const moved = structuredClone(pixels, { transfer: [pixels.buffer as ArrayBuffer] });
  expect(pixels).toHaveLength(0);
  expect(moved[0]).toBe(0x80);
});

test('the memory of decoded pictures is freed', async () => {
  const pictures = 200;
  toMovable(await readPixels(sharp({ create: grey })));
  const before = process.memoryUsage.rss();
  for (let i = 0; i < pictures; i++) toMovable(await readPixels(sharp({ create: grey })));
  const grown = process.memoryUsage.rss() - before;
  expect(grown / (3 * SIDE * SIDE)).toBeLessThan(pictures / 2);
  // 200 decodes take over 5 s on a busy machine.
}, 60_000);

const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

test('a decode that times out is our fault', async () => {
  const create = { width: 20_000, height: 20_000, channels: 3, background: 'tan' } as const;
  const slow = sharp({ create, limitInputPixels: false }).blur(50).timeout({ seconds: 1 });
  const failure = await failureOf(slow.raw().toBuffer());
  expect(failure).toMatchObject({ message: expect.stringContaining('timeout') });
  expect(isOurFault(failure)).toBe(true);
});

test('a decode that runs out of memory is our fault', () => {
  expect(isOurFault(new RangeError('Array buffer allocation failed'))).toBe(true);
  expect(isOurFault(new Error('VipsJpeg: Insufficient memory (case 4)'))).toBe(true);
  expect(isOurFault(new Error('vips_tracked: out of memory --- size == 150MB'))).toBe(true);
});

test('a broken image is not our fault', async () => {
  const { jpeg, png } = await greySquare();
  for (const image of [odd.truncated(jpeg), odd.truncated(png), Buffer.from('text')]) {
    const failure = await failureOf(
      decodePixels(image, { pixels: 1e6, failOn: 'error', mayBeTurned: true }),
    );
    expect(failure).toBeInstanceOf(Error);
    expect(isOurFault(failure)).toBe(false);
  }
});
