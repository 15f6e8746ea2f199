import sharp from 'sharp';
import { expect, test } from 'vitest';
import * as odd from '../../../../test/harness/images/odd-images.js';
import { greySquare } from '../../../../test/harness/images/photos.js';
import { decodePixels, isOurFault } from '../inference/decode/decode-pixels.js';

const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

test('a decode that the clock ended is our fault', async () => {
  const create = { width: 20_000, height: 20_000, channels: 3, background: 'tan' } as const;
  const slow = sharp({ create, limitInputPixels: false }).blur(50).timeout({ seconds: 1 });
  const failure = await failureOf(slow.raw().toBuffer());
  expect(failure).toMatchObject({ message: expect.stringContaining('timeout') });
  expect(isOurFault(failure)).toBe(true);
});

test('a picture for which there is no memory is our fault', () => {
  expect(isOurFault(new RangeError('Array buffer allocation failed'))).toBe(true);
  expect(isOurFault(new Error('VipsJpeg: Insufficient memory (case 4)'))).toBe(true);
  expect(isOurFault(new Error('vips_tracked: out of memory --- size == 150MB'))).toBe(true);
});

test('a broken image is not our fault', async () => {
  const { jpeg, png } = await greySquare();
  for (const image of [odd.truncated(jpeg), odd.truncated(png), Buffer.from('text')]) {
    const failure = await failureOf(decodePixels(image, { pixels: 1e6, failOn: 'error' }));
    expect(failure).toBeInstanceOf(Error);
    expect(isOurFault(failure)).toBe(false);
  }
});
