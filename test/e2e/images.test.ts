import sharp from 'sharp';
import { describe, expect, inject, it } from 'vitest';
import { notImages, unsupportedImages } from '@livegate/testing/images/not-jpeg-or-png';
import {
  alphaPng,
  arithmeticJpeg,
  cmykJpeg,
  grayscaleJpeg,
  orientations,
  oriented,
  pngBomb,
  scanBomb,
  sixteenBitPng,
  tallPng,
  truncated,
  withTextBomb,
} from '@livegate/testing/images/odd-images';
import { selfie, selfieWithPasserBy } from '@livegate/testing/images/photos';
import { postImage } from '@livegate/testing/product/post-image';

const upload = (image: Buffer) => postImage(inject('url'), image);

async function scoreOf(image: Buffer): Promise<number> {
  const { body } = await upload(image);
  expect(body).toMatchObject({ status: 'success', result: { status: 'LOW' } });
  return body.result.spoof_percentage;
}

describe('an unusual but valid image', () => {
  it.each<[string, (photo: Buffer) => Promise<Buffer>]>([
    ['a CMYK JPEG', cmykJpeg],
    ['a 16-bit PNG', sixteenBitPng],
    ['a JPEG without its end marker', async (photo) => photo.subarray(0, -2)],
    ['a PNG', (photo) => sharp(photo).png().toBuffer()],
    ['a PNG with a text bomb', async (photo) => withTextBomb(await sharp(photo).png().toBuffer())],
  ])('gets about the score of the original photo: %s', async (_name, convert) => {
    const photo = await selfie();
    expect(await scoreOf(await convert(photo))).toBeCloseTo(await scoreOf(photo), 2);
  });

  it.each<[string, (photo: Buffer) => Promise<Buffer>]>([
    ['a grayscale JPEG', grayscaleJpeg],
    ['a PNG with an alpha channel', alphaPng],
  ])('gets a score: %s', async (_name, convert) => {
    expect(await upload(await convert(await selfie()))).toMatchObject({
      status: 200,
      body: { status: 'success' },
    });
  });

  it('gets the same score in all eight EXIF orientations', async () => {
    const photo = await selfie();
    const upright = await scoreOf(photo);
    for (const orientation of orientations) {
      expect(await scoreOf(await oriented(photo, orientation))).toBeCloseTo(upright, 2);
    }
  });

  it('is scored with a small face in the background, and has too many faces with a large one', async () => {
    const [far, near] = await Promise.all([selfieWithPasserBy(0.2), selfieWithPasserBy(0.6)]);
    expect(await upload(far)).toMatchObject({ body: { status: 'success' } });
    expect(await upload(near)).toMatchObject({
      body: { status: 'failed', result: { status: 'too many faces detected' } },
    });
  });
});

describe('an invalid image', () => {
  const refusals: [string, () => Promise<Buffer> | Buffer, number, string][] = [
    ['a truncated JPEG', async () => truncated(await selfie()), 400, 'invalid_image'],
    [
      'a truncated PNG',
      async () =>
        truncated(
          await sharp(await selfie())
            .png()
            .toBuffer(),
        ),
      400,
      'invalid_image',
    ],
    ['a PNG bomb', pngBomb, 400, 'image_dimensions_exceeded'],
    ['a PNG one pixel wide', tallPng, 400, 'image_dimensions_exceeded'],
    ['a JPEG of endless scans', () => scanBomb(), 400, 'invalid_image'],
    ['a JPEG with arithmetic coding', () => arithmeticJpeg(7071), 400, 'invalid_image'],
    ['11 MiB', () => Buffer.alloc(11 * 1024 * 1024), 413, 'image_too_large'],
    ['an empty file', () => Buffer.alloc(0), 400, 'empty_image'],
    ...Object.entries(notImages).map(([name, bytes]): (typeof refusals)[number] => [
      name,
      () => bytes,
      400,
      'invalid_image',
    ]),
    ...Object.entries(unsupportedImages).map(([name, bytes]): (typeof refusals)[number] => [
      name,
      () => bytes,
      415,
      'unsupported_image_type',
    ]),
  ];

  it.each(refusals)(
    'is refused, and the next valid image gets a verdict: %s',
    async (...refusal) => {
      const [, create, status, code] = refusal;
      const answer = await upload(await create());
      expect(answer).toMatchObject({ status, body: { status: 'failed', error_code: code } });
      expect(answer.requestId).not.toBe('');
      expect(await upload(await selfie())).toMatchObject({ status: 200 });
    },
  );

  it.each(Object.keys(unsupportedImages))(
    'is refused with the name of its type: %s',
    async (name) => {
      const image = unsupportedImages[name as keyof typeof unsupportedImages];
      const kind =
        name === 'pdf' ? 'application/pdf' : `image/${name === 'svg' ? 'svg+xml' : name}`;
      expect((await upload(image)).body).toMatchObject({
        error_message: expect.stringContaining(kind),
      });
    },
  );

  it('fails alone when it is sent together with valid images', async () => {
    const good = await selfie();
    const images = [good, truncated(good), good, pngBomb(), good, truncated(good), good];
    const answers = await Promise.all(images.map(upload));
    expect(answers.map(({ status }) => status)).toEqual([200, 400, 200, 400, 200, 400, 200]);
    expect(new Set(answers.map(({ requestId }) => requestId)).size).toBe(images.length);
  });
});
