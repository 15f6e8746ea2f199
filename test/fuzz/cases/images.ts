import {
  arithmeticJpeg,
  emptyJpeg,
  exif,
  flatPng,
  iccp,
  pngBomb,
  profileOf,
  scanBomb,
  slowScans,
  tallPng,
  withPipeline,
  withTextBomb,
} from '@livegate/testing/images/odd-images';
import * as fc from 'fast-check';
import sharp from 'sharp';
import { mutatedJpegs } from './jpeg-mutations.js';
import { mutatedPngs } from './png-mutations.js';

/** Images that decode. */
export interface BaseImages {
  jpegs: Buffer[];
  pngs: Buffer[];
}

/** The most common encodings of one small picture. */
export async function makeBaseImages(): Promise<BaseImages> {
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  const raw = {
    create: { width: 61, height: 45, channels: 3, background: 'grey', noise },
  } as const;
  const picture = await sharp(raw).png().toBuffer();
  const as = () => sharp(picture);
  const [p3, cmyk] = await Promise.all([
    as().withIccProfile('p3').jpeg().toBuffer(),
    as().toColourspace('cmyk').withIccProfile('cmyk').jpeg().toBuffer(),
  ]);
  const profile = await profileOf(p3);
  return {
    jpegs: [
      ...(await Promise.all([
        as().jpeg({ quality: 90 }).toBuffer(),
        as().jpeg({ progressive: true, quality: 90 }).toBuffer(),
        as().grayscale().jpeg().toBuffer(),
        as().withMetadata({ orientation: 6 }).jpeg().toBuffer(),
      ])),
      p3,
      cmyk,
    ],
    pngs: [
      picture,
      ...(await Promise.all([
        as().ensureAlpha(0.5).png().toBuffer(),
        as().png({ palette: true, colours: 16 }).toBuffer(),
        as().toColourspace('rgb16').png().toBuffer(),
        as().png({ progressive: true }).toBuffer(),
      ])),
      flatPng([9, 9, 9], { before: [iccp(profile), ['eXIf', exif(6)]] }),
      flatPng([9, 9, 9], { before: [['acTL', Buffer.from('0000000200000000', 'hex')]] }),
    ],
  };
}

/** Small files that cost a decoder much. Each of them takes up to a second. */
export async function makeBombs({ jpegs, pngs }: BaseImages): Promise<Buffer[]> {
  const [jpeg, png] = [jpegs[0]!, pngs[0]!];
  const profile = await profileOf(jpegs[4]!);
  return [
    pngBomb(),
    tallPng(),
    withTextBomb(png),
    await scanBomb(),
    arithmeticJpeg(7071, 1),
    arithmeticJpeg(7071),
    emptyJpeg(7071, { frame: 0xc2, components: [1, 2, 3], scans: slowScans }),
    emptyJpeg(20_000, { frame: 0xc0, components: [1], scans: [[[1], 0, 63, 0]] }),
    flatPng([9], { side: 7000, colorType: 0 }),
    flatPng([9, 9, 9], { side: 7200, depth: 16, isInterlaced: true }),
    flatPng([9, 9, 9], { side: 64, before: [iccp(withPipeline(profile, 30_000))] }),
    // Two formats in one file.
    Buffer.concat([Buffer.from('GIF89a'), jpeg]),
    Buffer.concat([Buffer.from('%PDF-1.7\n'), jpeg]),
    Buffer.concat([Buffer.from('ID3\x04\0\0\0\0\0\0'), jpeg]),
    Buffer.concat([png, jpeg]),
    Buffer.concat([jpeg, png]),
    Buffer.concat([jpeg.subarray(0, 2), png]),
    Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
    Buffer.from('RIFF\x10\0\0\0WEBPVP8 ', 'latin1'),
    Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1'),
    Buffer.from('II*\0\x08\0\0\0', 'latin1'),
    Buffer.alloc(3_000_000, 0xff),
    Buffer.concat([Buffer.from('ffd8', 'hex'), Buffer.alloc(3_000_000, 0xff)]),
    Buffer.concat([
      Buffer.from('ffd8ff', 'hex'),
      Buffer.alloc(300_000, Buffer.from('ffc40003', 'hex')),
    ]),
  ];
}

export interface Images {
  base: BaseImages;
  bombs: Buffer[];
}

/** Image bytes: mutated, bombs, noise, and some that are good. */
export function hostileImages({ base, bombs }: Images): fc.Arbitrary<Buffer> {
  return fc.oneof(
    { weight: 60, arbitrary: mutatedJpegs(base.jpegs) },
    { weight: 40, arbitrary: mutatedPngs(base.pngs) },
    { weight: 2, arbitrary: fc.constantFrom(...bombs) },
    { weight: 3, arbitrary: goodImages(base) },
    { weight: 5, arbitrary: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)) },
    {
      weight: 5,
      arbitrary: fc
        .record({
          image: goodImages(base),
          at: fc.nat(20_000),
          noise: fc.uint8Array({ minLength: 1, maxLength: 16 }),
        })
        .map(({ image, at, noise }) => {
          const start = at % image.length;
          return Buffer.concat([image.subarray(0, start), noise, image.subarray(start)]);
        }),
    },
  );
}

export function goodImages({ jpegs, pngs }: BaseImages): fc.Arbitrary<Buffer> {
  return fc.constantFrom(...jpegs, ...pngs);
}
