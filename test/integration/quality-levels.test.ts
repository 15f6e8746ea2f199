import { qualityCodes } from '@livegate/core/domain';
import { openScheduler } from '@livegate/worker/scheduling/schedule-images';
import sharp, { type Sharp } from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { face, type FaceName, noFace, selfie } from '@livegate/testing/images/photos';
import { tiltPhoto, weakSelfie } from '@livegate/testing/images/weak-photos';
import { schedulerConfig } from '@livegate/testing/models/scheduler-config';
import { silentLog } from '@livegate/testing/redis/sandbox';

const pipeline = await openScheduler(
  { ...schedulerConfig, layout: { engines: 1, intraOpThreads: 1, maxBatch: 1 }, concurrency: 2 },
  { log: silentLog, onLost: () => expect.unreachable() },
);
afterAll(() => pipeline.close());

/** Upright faces; the other sample faces are turned, or too close. */
const upright: FaceName[] = ['photo 1 left', 'photo 3 left', 'photo 3 middle'];

async function qualityOf(image: Uint8Array) {
  const { assessment } = await pipeline.assess(image);
  if (assessment.kind !== 'scored') throw new Error(assessment.kind);
  return assessment.quality;
}

async function resize(image: Buffer, factor: number): Promise<Buffer> {
  const { width } = await sharp(image).metadata();
  return sharp(image)
    .resize({ width: Math.round(width * factor) })
    .jpeg({ quality: 92 })
    .toBuffer();
}

describe('a good photo', () => {
  it.each(upright)('has no code, at any resolution and JPEG quality: %s', async (name) => {
    const photo = await face(name);
    const coarse = await sharp(photo).jpeg({ quality: 50 }).toBuffer();
    for (const image of [photo, coarse, await resize(photo, 0.4), await resize(photo, 2)]) {
      expect((await qualityOf(image)).codes).toEqual([]);
    }
  });

  it('has the face box and the measures of the face', async () => {
    const { face: box, measures } = await qualityOf(await selfie());
    expect(box.left + box.width / 2).toBeCloseTo(0.5, 1);
    expect(measures.facePixels).toBeGreaterThan(220);
    expect(measures.facePixels).toBeLessThan(255);
    expect(measures.inside).toBeCloseTo(0.9, 1);
    expect(measures.blur).toBeLessThan(0.016);
  });

  it('without a face has no quality', async () => {
    const { assessment } = await pipeline.assess(await noFace());
    expect(assessment).toEqual({ kind: 'no_face' });
  });
});

describe('a weak photo', () => {
  it.each(qualityCodes)('is reported, and its first code is %s', async (code) => {
    expect((await qualityOf(await weakSelfie(code))).codes[0]).toBe(code);
  });

  it.each(qualityCodes.filter((code) => code !== 'face_too_small'))(
    'has the same first code at another resolution: %s',
    async (code) => {
      const photo = await weakSelfie(code);
      for (const factor of [0.5, 1.7]) {
        expect((await qualityOf(await resize(photo, factor))).codes[0]).toBe(code);
      }
    },
  );
});

describe('a mirrored photo', () => {
  const mirror = async (photo: Buffer) => sharp(photo).flop().jpeg({ quality: 92 }).toBuffer();

  it.each(upright)('has no code, as the photo: %s', async (name) => {
    expect((await qualityOf(await mirror(await face(name)))).codes).toEqual([]);
  });

  it.each(qualityCodes)('has the first code of the weak photo: %s', async (code) => {
    const photo = await weakSelfie(code);
    const { codes } = await qualityOf(photo);
    expect((await qualityOf(await mirror(photo))).codes[0]).toBe(codes[0]);
  });
});

// A tilted head, blur and bad light in grades; tools/quality does the same with other photos.
describe.each(upright)('the levels of docs/reference/quality.md hold for %s', (name) => {
  const decoded = async () =>
    sharp(
      await sharp(await face(name))
        .png()
        .toBuffer(),
    );
  const size = async () => (await qualityOf(await face(name))).measures.facePixels;
  const codesOf = async (image: Sharp) =>
    (await qualityOf(await image.jpeg({ quality: 92 }).toBuffer())).codes;

  it.each([
    [0.005, false],
    [0.01, false],
    [0.03, true],
    [0.04, true],
  ])('a blur of %f faces is reported: %s', async (faces, isReported) => {
    const blurred = (await decoded()).blur(Math.max(0.3, faces * (await size())));
    expect((await codesOf(blurred)).includes('image_too_blurry')).toBe(isReported);
  });

  it.each([
    [0.2, true],
    [0.25, true],
    [0.6, false],
    [0.8, false],
  ])('values times %f are reported as dark: %s', async (factor, isReported) => {
    const codes = await codesOf((await decoded()).linear(factor, 0));
    expect(codes.includes('image_too_dark')).toBe(isReported);
    expect(codes).not.toContain('image_too_bright');
  });

  it.each([
    [0, false],
    [0.5, false],
    // With more, no face is found in some of these photos.
    [3, true],
  ])('%f stops of overexposure are reported: %s', async (stops, isReported) => {
    const codes = await codesOf((await decoded()).linear(2 ** (stops / 2.2), 0));
    expect(codes.includes('image_too_bright')).toBe(isReported);
  });

  it.each([
    [-40, true],
    [0, false],
    [40, true],
  ])('a head tilted by %i degrees is reported: %s', async (degrees, isReported) => {
    const { codes } = await qualityOf(await tiltPhoto(await face(name), degrees));
    expect(codes.includes('face_turned')).toBe(isReported);
  });

  it.each([
    [28, true],
    [32, true],
    [56, false],
    [80, false],
  ])('a face of %i pixels is reported as small: %s', async (pixels, isReported) => {
    const small = await resize(await face(name), pixels / (await size()));
    expect((await qualityOf(small)).codes.includes('face_too_small')).toBe(isReported);
  });
});
