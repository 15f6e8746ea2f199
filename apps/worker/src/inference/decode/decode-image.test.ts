import { inspectHeader } from '@livegate/core/domain';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { notImages, unsupportedImages } from '@livegate/testing/images/not-jpeg-or-png';
import * as odd from '@livegate/testing/images/odd-images';
import { greySquare, selfie } from '@livegate/testing/images/photos';
import { rowsOf } from '@livegate/testing/images/picture-rows';
import type { Picture } from '../picture.js';
import { createDecodeImage } from './decode-image.js';
import { setUpLibvips } from './decode-pixels.js';

const decodeImage = createDecodeImage(1);
const upright = await decode(await selfie());

setUpLibvips();

test('a decoded photo has three bytes a pixel', () => {
  expect(upright).toMatchObject({ width: 576, height: 704 });
  expect(upright.pixels).toHaveLength(3 * 576 * 704);
});

test.each([1, 700])(
  'a decoded image of width %i can be transferred to another thread',
  async (width) => {
    const { jpeg } = await greySquare();
    const picture = await decode(await sharp(jpeg).resize(width, width).png().toBuffer());
    const [pixel] = picture.pixels;
    const memory = picture.pixels.buffer as ArrayBuffer;
    const moved = structuredClone(picture, { transfer: [memory] });
    // A copy, which Node 20 makes silently, would leave the pixels here.
    expect(memory.byteLength).toBe(0);
    expect(moved).toMatchObject({ width, height: width });
    expect(moved.pixels.buffer.byteLength).toBe(3 * width * width);
    expect(moved.pixels.every((value) => value === pixel)).toBe(true);
  },
);

test.each(odd.orientations)('EXIF orientation %i is applied', async (orientation) => {
  const image = await odd.oriented(await selfie(), orientation);
  expect(await differenceFromUpright(image)).toBeLessThan(1);
});

/** EXIF with nothing but an orientation. */
function exifOf(orientation: number): Buffer {
  const entry = [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
  const directory = [0, 1, ...entry, 0, 0, 0, 0];
  return Buffer.concat([Buffer.from('Exif\0\0MM\0*\0\0\0\x08', 'latin1'), Buffer.from(directory)]);
}

const large = await sharp(await selfie())
  .resize(2400)
  .jpeg()
  .toBuffer();

test.each<[string, Buffer, number]>([
  ['a photo', await selfie(), 1],
  ['a photo that is shrunk', large, 3],
  ['a CMYK photo', await odd.cmykJpeg(await selfie()), 1],
])(
  'the orientation of %s is applied and moves no pixel in memory',
  async (_name, image, factor) => {
    const tagged = odd.withJpegSegment(image, 0xe1, exifOf(5));
    // The tag is not in the first segment.
    const later = odd.withJpegSegment(tagged, 0xe2, Buffer.from('another'));
    const stored = await decode(image, factor);
    for (const each of [tagged, later]) {
      const turned = await decode(each, factor);
      expect(turned).toMatchObject({ width: stored.height, height: stored.width });
      expect(Buffer.compare(turned.pixels, stored.pixels)).toBe(0);
      expect(turned.pixels.subarray(turned.topLeft, turned.topLeft + 3)).toEqual(
        stored.pixels.subarray(0, 3),
      );
    }
  },
);

test.each([
  ['without an orientation', Buffer.from('Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0', 'latin1')],
  ['that is cut off', Buffer.from('Exif\0\0MM\0*', 'latin1')],
  ['that is noise', Buffer.from('Exif\0\0' + '\x07'.repeat(40), 'latin1')],
  ['that is XMP instead', Buffer.from('http://ns.adobe.com/xap/1.0/\0<x/>', 'latin1')],
])('EXIF %s leaves the picture as the file stores it', async (_name, data) => {
  const image = odd.withJpegSegment(await selfie(), 0xe1, data);
  expect(await differenceFromUpright(image)).toBe(0);
});

test('a 16-bit PNG of a photo decodes to the pixels of the photo', async () => {
  expect(await differenceFromUpright(await odd.sixteenBitPng(await selfie()))).toBe(0);
});

test('grayscale and CMYK become RGB', async () => {
  // Tolerances in gray levels, for the lost color and for compressing again.
  expect(await differenceFromUpright(await odd.grayscaleJpeg(await selfie()))).toBeLessThan(10);
  expect(await differenceFromUpright(await odd.cmykJpeg(await selfie()))).toBeLessThan(2);
});

test('transparent pixels become white, as viewers show them', async () => {
  const half = await decode(await odd.alphaPng(await selfie()));
  expect(half.pixels[0]).toBeCloseTo((upright.pixels[0]! + 255) / 2, -1);
});

test('a phone’s JPEG with invalid scan parameters is not refused', async () => {
  const image = odd.withInvalidScanParameters(await selfie());
  expect(await differenceFromUpright(image)).toBe(0);
});

test('a tiny file that declares too many pixels is refused by its header', async () => {
  await expect(decode(odd.pngBomb())).rejects.toMatchObject({
    code: 'image_dimensions_exceeded',
  });
});

test('a picture with an extremely long side is refused, however few its pixels', async () => {
  await expect(decode(odd.tallPng())).rejects.toMatchObject({
    code: 'image_dimensions_exceeded',
    publicMessage: 'the image has a side of more than 20000 pixels',
  });
});

test('the decoder gets only the PNG chunks that the pixels need', async () => {
  const png = await odd.sixteenBitPng(await selfie());
  expect(await differenceFromUpright(odd.withTextBomb(png))).toBe(0);
  // A critical chunk, which a decoder must understand or refuse the image.
  const critical = odd.withPngChunk(png, 'ABCD', Buffer.alloc(9));
  expect(await differenceFromUpright(critical)).toBe(0);
});

test('the orientation of a PNG’s eXIf chunk is applied', async () => {
  const turned = await sharp(await odd.oriented(await selfie(), 6))
    .withMetadata({ orientation: 6 })
    .png()
    .toBuffer();
  expect(turned.includes('eXIf')).toBe(true);
  expect(await differenceFromUpright(turned)).toBeLessThan(1);
});

test('a progressive JPEG is decoded like a baseline one', async () => {
  expect(await differenceFromUpright(await odd.progressiveJpeg(await selfie()))).toBeLessThan(3);
});

test('a JPEG with more scans than any encoder writes is refused', async () => {
  await expect(decode(await odd.scanBomb())).rejects.toMatchObject({
    code: 'invalid_image',
    publicMessage: 'the image is a JPEG of more than 100 scans',
  });
  expect(await decode(await odd.scanBomb(50))).toMatchObject({ width: 64 });
});

describe('a PNG is decoded to the colors of Chromium 156:', () => {
  const gama = (value: number): odd.PngChunk => ['gAMA', odd.uint32s(value)];
  const srgb: odd.PngChunk = ['sRGB', Buffer.from([0])];
  const cicp = (...codes: number[]): odd.PngChunk => ['cICP', Buffer.from(codes)];
  const white = [31_270, 32_900];
  const primaries = (...values: number[]): odd.PngChunk => [
    'cHRM',
    odd.uint32s(...white, ...values),
  ];
  const srgbPrimaries = primaries(64_000, 33_000, 30_000, 60_000, 15_000, 6000);
  const p3Primaries = primaries(68_000, 32_000, 26_500, 69_000, 15_000, 6000);
  const stored = [84, 133, 175];
  const linear = [155, 191, 216];

  test.each<[string, odd.PngChunk[], number[]]>([
    ['nothing said', [], stored],
    ['gAMA alone', [gama(100_000)], linear],
    ['gAMA of 1.8', [gama(55_556)], [103, 151, 189]],
    ['gAMA within 5 % of 2.2, which is sRGB', [gama(43_182)], stored],
    ['gAMA of 0', [gama(0)], stored],
    ['gAMA of 2.2 with cHRM, which is not sRGB', [gama(45_455), srgbPrimaries], [83, 134, 177]],
    ['gAMA with the primaries of P3', [gama(45_455), p3Primaries], [65, 136, 181]],
    ['gAMA with primaries on a line', [gama(100_000), primaries(1, 1, 2, 2, 3, 3)], stored],
    ['gAMA with a cut cHRM', [gama(100_000), ['cHRM', Buffer.alloc(8)]], linear],
    ['cHRM alone', [p3Primaries], stored],
    ['sRGB before gAMA', [srgb, gama(100_000), p3Primaries], stored],
    ['cICP of Display P3', [cicp(12, 13, 0, 1)], [67, 135, 179]],
    ['cICP of BT.709', [cicp(1, 1, 0, 1)], [75, 126, 171]],
    ['cICP of linear light', [cicp(1, 8, 0, 1)], linear],
    ['cICP of BT.2020 primaries', [cicp(9, 13, 0, 1)], [0, 137, 180]],
    ['cICP before sRGB', [srgb, cicp(12, 13, 0, 1)], [67, 135, 179]],
    ['cICP of a narrow range, which does not count', [cicp(1, 8, 0, 0), gama(100_000)], linear],
    ['cICP of unknown codes, which does not count', [cicp(2, 2, 0, 1), gama(100_000)], linear],
    ['a broken profile, which is ignored', [odd.iccp(Buffer.alloc(200)), gama(100_000)], linear],
  ])('%s', async (_name, before, shown) => {
    expectColor(await decode(odd.flatPng(stored, { before })), shown);
    expectColor(await decode(odd.flatPng(stored, { before, depth: 16 })), shown);
    expectColor(await decode(odd.flatPng([...stored, 255], { before, colorType: 6 })), shown);
  });

  test.each<[string, odd.PngChunk[], number]>([
    ['gray of linear light', [gama(100_000)], 155],
    ['gray of a linear cICP', [cicp(1, 8, 0, 1)], 155],
    ['gray with nothing said', [], 84],
  ])('%s', async (_name, before, shown) => {
    const gray = [shown, shown, shown];
    expectColor(await decode(odd.flatPng([84], { before, colorType: 0 })), gray);
    expectColor(await decode(odd.flatPng([84], { before, colorType: 0, depth: 16 })), gray);
    expectColor(await decode(odd.flatPng([84, 255], { before, colorType: 4 })), gray);
  });

  test('a profile at 8 and 16 bits, unless there is a cICP chunk', async () => {
    const tagged = await sharp((await greySquare()).png)
      .withIccProfile('p3')
      .png()
      .toBuffer();
    const p3 = odd.iccp(await odd.profileOf(tagged));
    const shown = [67, 135, 179];
    expectColor(await decode(odd.flatPng(stored, { before: [p3, srgb, gama(100_000)] })), shown);
    expectColor(await decode(odd.flatPng(stored, { before: [p3], depth: 16 })), shown);
    expectColor(await decode(odd.flatPng(stored, { before: [cicp(1, 13, 0, 1), p3] })), stored);
  });

  test('white for transparent pixels', async () => {
    const before = [gama(100_000)];
    expectColor(
      await decode(odd.flatPng([...stored, 0], { before, colorType: 6 })),
      [255, 255, 255],
    );
  });

  test('without a chunk that has a broken checksum or follows the pixels', async () => {
    const broken = odd.flatPng(stored, { before: [gama(100_000)] });
    broken[broken.indexOf('gAMA') + 8]! ^= 1;
    expectColor(await decode(broken), stored);
    expectColor(await decode(odd.flatPng(stored, { after: [gama(100_000)] })), stored);
  });
});

describe('the orientation of a PNG', () => {
  const text = `Raw profile type exif\0\nexif\n${odd.exif(6).toString('hex')}\n`;
  const xmp = 'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>';

  test.each<[string, Partial<odd.PngForm>, boolean]>([
    ['is read from an eXIf chunk before the pixels', { before: [['eXIf', odd.exif(6)]] }, true],
    ['is not read from an eXIf chunk after the pixels', { after: [['eXIf', odd.exif(6)]] }, false],
    [
      'is read from the first eXIf chunk',
      {
        before: [
          ['eXIf', odd.exif(1)],
          ['eXIf', odd.exif(6)],
        ],
      },
      false,
    ],
    ['is not read from text', { before: [['tEXt', Buffer.from(text)]] }, false],
    ['is not read from XMP', { before: [['iTXt', Buffer.from(xmp)]] }, false],
  ])('%s', async (_name, chunks, isTurned) => {
    const png = await sharp(await selfie())
      .png()
      .toBuffer();
    const image = (chunks.before ?? [])
      .toReversed()
      .reduce<Buffer>((file, [type, data]) => odd.withPngChunk(file, type, data), png);
    const ended = (chunks.after ?? []).reduce<Buffer>(
      (file, [type, data]) => odd.withPngChunk(file, type, data, -12),
      image,
    );
    const { width } = await decode(ended);
    expect(width).toBe(isTurned ? upright.height : upright.width);
  });
});

test('CMYK without a profile is mixed as in Chromium 156', async () => {
  const create = { width: 16, height: 16, channels: 3, background: '#c86432' } as const;
  const image = await odd.cmykJpeg(await sharp({ create }).png().toBuffer(), 128);
  expectColor(await decode(image), [100, 50, 25]);
});

describe('a color profile with a pipeline that takes minutes', () => {
  const stored = [84, 133, 175];
  const shown = [67, 135, 179];

  test.each([8, 16] as const)(
    'is decoded as without the pipeline in a PNG of %i bits',
    async (depth) => {
      const slow = odd.withPipeline(await p3Profile(), 20_000);
      const png = odd.flatPng(stored, { before: [odd.iccp(slow)], depth });
      expectColor(await decode(png), shown);
    },
  );

  test.each<[string, (slow: Buffer, harmless: Buffer) => Buffer[]]>([
    ['in one piece', (slow) => [profilePart(slow, 1, 1)]],
    ['without the zero behind its mark', (slow) => [profilePart(slow, 1, 1).fill(1, 11, 12)]],
    ['in pieces', (slow) => cutProfile(slow)],
    ['in pieces in disorder', (slow) => cutProfile(slow).toReversed()],
    [
      'in place of a harmless one',
      (slow, harmless) => [profilePart(harmless, 1, 1), profilePart(slow, 1, 1)],
    ],
  ])('is decoded as without the pipeline in a JPEG, %s', async (_name, place) => {
    const pixel = { width: 16, height: 16, channels: 3, background: '#5485af' } as const;
    const jpeg = await sharp({ create: pixel }).jpeg({ quality: 100 }).toBuffer();
    const harmless = await p3Profile();
    const parts = place(odd.withPipeline(harmless, 5000), harmless);
    const image = parts.reduceRight((file, part) => odd.withJpegSegment(file, 0xe2, part), jpeg);
    const started = process.cpuUsage();
    expectColor(await decode(image), [67, 135, 178]);
    // With the pipeline, it would take two seconds.
    expect(process.cpuUsage(started).user).toBeLessThan(500_000);
  });
});

describe('a JPEG without its end marker', () => {
  test.each<[string, (photo: Buffer) => Promise<Buffer>]>([
    ['baseline', async (photo) => sharp(photo).jpeg().toBuffer()],
    ['progressive', odd.progressiveJpeg],
  ])('is decoded to the same picture, %s', async (_name, convert) => {
    const jpeg = await convert(await selfie());
    expect(jpeg.readUInt16BE(jpeg.length - 2)).toBe(0xffd9);
    const [cut, whole] = [await decode(jpeg.subarray(0, -2)), await decode(jpeg)];
    expect(Buffer.compare(cut.pixels, whole.pixels)).toBe(0);
  });

  test.each<[string, (photo: Buffer) => Promise<Buffer>]>([
    ['baseline', async (photo) => sharp(photo).jpeg().toBuffer()],
    ['progressive', odd.progressiveJpeg],
  ])('is refused if some bytes of its data are missing as well, %s', async (_name, convert) => {
    const jpeg = await convert(await selfie());
    for (const missing of [1, 2, 10, 1000]) await expectInvalid(jpeg.subarray(0, -2 - missing));
  });
});

describe('the decoder refuses as invalid_image:', () => {
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

  test('only the first bytes of a JPEG', async () => {
    await expectInvalid((await selfie()).subarray(0, 20));
  });
});

async function decode(bytes: Uint8Array, factor?: number): Promise<Picture> {
  return await decodeImage(bytes, inspectHeader(bytes, 10_000_000), factor);
}

async function expectInvalid(bytes: Uint8Array): Promise<void> {
  await expect(decode(bytes)).rejects.toMatchObject({ code: 'invalid_image' });
}

async function p3Profile(): Promise<Buffer> {
  const { png } = await greySquare();
  return odd.profileOf(await sharp(png).withIccProfile('p3').png().toBuffer());
}

/** The data of one segment of a profile. */
function profilePart(part: Buffer, number: number, of: number): Buffer {
  return Buffer.concat([Buffer.from('ICC_PROFILE\0'), Buffer.from([number, of]), part]);
}

/** Splits a profile into two segments, in the middle of its tag table. */
function cutProfile(profile: Buffer): Buffer[] {
  const parts = [profile.subarray(0, 140), profile.subarray(140)];
  return parts.map((part, i) => profilePart(part, i + 1, parts.length));
}

/** Requires a picture of one color, within the rounding of a conversion. */
function expectColor({ pixels }: Picture, color: number[]): void {
  const about = color.map((value) => expect.toSatisfy((v: number) => Math.abs(v - value) <= 1));
  expect([...pixels.subarray(0, 3)]).toEqual(about);
  expect([...pixels.subarray(-3)]).toEqual(about);
}

/** Mean absolute difference per channel, 0..255. */
async function differenceFromUpright(image: Uint8Array): Promise<number> {
  const picture = await decode(image);
  expect(picture).toMatchObject({ width: upright.width, height: upright.height });
  const rows = rowsOf(picture);
  const total = rows.reduce((sum, v, i) => sum + Math.abs(v - upright.pixels[i]!), 0);
  return total / rows.length;
}
