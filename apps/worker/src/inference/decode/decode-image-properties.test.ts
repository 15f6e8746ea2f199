import { crc32 } from 'node:zlib';
import { inspectHeader, LivegateError, walkJpeg } from '@livegate/core/domain';
import * as fc from 'fast-check';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import * as odd from '@livegate/testing/images/odd-images';
import { createDecodeImage } from './decode-image.js';
import { setUpLibvips } from './decode-pixels.js';

const MAX_PIXELS = 100_000;

const pixels = Uint8Array.from({ length: 3 * 40 * 30 }, (_, i) => (i * i) % 251);
const source = () => sharp(pixels, { raw: { width: 40, height: 30, channels: 3 } });
const plain = await source().png().toBuffer();
const tagged = await source()
  .withIccProfile('p3')
  .withMetadata({ orientation: 6 })
  .jpeg()
  .toBuffer();
const slowProfile = odd.withPipeline(await odd.profileOf(tagged), 10);
const images = [
  tagged,
  await source().jpeg().toBuffer(),
  await source().jpeg({ progressive: true }).toBuffer(),
  await odd.grayscaleJpeg(plain),
  await odd.cmykJpeg(plain),
  odd.emptyJpeg(64, { frame: 0xc2, components: [1, 2, 3], scans: odd.slowScans }),
  plain,
  await source().png({ palette: true }).toBuffer(),
  await source().toColourspace('rgb16').png({ progressive: true }).toBuffer(),
  odd.flatPng([1, 2, 3, 4], {
    colorType: 6,
    isInterlaced: true,
    before: [
      ['gAMA', odd.uint32s(100_000)],
      ['cHRM', Buffer.alloc(32, 1)],
      odd.iccp(slowProfile),
      ['eXIf', odd.exif(6)],
    ],
  }),
];

/** Changes to an image: set a byte, cut off the end, leave out a part, or repeat one elsewhere. */
const changes = fc.record({
  kind: fc.constantFrom('byte', 'byte', 'cut', 'leave out', 'repeat'),
  at: fc.nat(),
  to: fc.nat(),
  value: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0xc0, 0xd9, 0xda, 0xff)),
});

type Change = typeof changes extends fc.Arbitrary<infer Value> ? Value : never;

function change(image: Buffer, { kind, at, to, value }: Change): Buffer {
  if (image.length === 0) return image;
  const place = at % image.length;
  if (kind === 'byte') return Buffer.from(image).fill(value, place, place + 1);
  if (kind === 'cut') return image.subarray(0, place);
  const starts = listParts(image);
  const i = at % starts.length;
  const [start, end, target] = [
    starts[i]!,
    starts[i + 1] ?? image.length,
    starts[to % starts.length]!,
  ];
  const part = image.subarray(start, end);
  return kind === 'repeat'
    ? Buffer.concat([image.subarray(0, target), part, image.subarray(target)])
    : Buffer.concat([image.subarray(0, start), image.subarray(end)]);
}

/** Offsets of the segments or chunks of an image, up to the first unreadable one. */
function listParts(image: Buffer): number[] {
  const starts = [Math.min(image.length, 8)];
  try {
    if (image[0] === 0xff) return [2, ...[...walkJpeg(image)].map(({ end }) => end)];
    for (let at = 8; at + 12 <= image.length;) starts.push((at += 12 + image.readUInt32BE(at)));
  } catch {
    // Truncated by an earlier change.
  }
  return starts.filter((at) => at <= image.length);
}

/** Repairs the checksums of the chunks, so that the decoder reads their data. */
function withChecksums(image: Buffer): Buffer {
  const whole = Buffer.from(image);
  for (let at = 8; whole[0] !== 0xff && at + 12 <= whole.length;) {
    const end = at + 12 + whole.readUInt32BE(at);
    if (end <= whole.length) whole.writeUInt32BE(crc32(whole.subarray(at + 4, end - 4)), end - 4);
    at = end;
  }
  return whole;
}

setUpLibvips();
const decodeImage = createDecodeImage(1);

/** Longer side and pixel count by the header and by the decoder; or the error of a refusal. */
async function decode(image: Buffer): Promise<unknown[]> {
  try {
    const header = inspectHeader(image, MAX_PIXELS);
    const { pixels: found, ...size } = await decodeImage(image, header);
    const said = [Math.max(header.width, header.height), 3 * header.width * header.height];
    return [said, [Math.max(size.width, size.height), found.length]];
  } catch (error) {
    if (error instanceof LivegateError) return [error.code, error.code];
    throw error;
  }
}

test('a changed image is decoded or refused within one second of CPU time', async () => {
  const changed = fc
    .tuple(fc.constantFrom(...images), fc.array(changes, { minLength: 1, maxLength: 4 }))
    .map(([image, several]) => withChecksums(several.reduce(change, image)));
  await fc.assert(
    fc.asyncProperty(changed, async (image) => {
      const started = process.cpuUsage();
      const [expected, found] = await decode(image);
      const { user, system } = process.cpuUsage(started);
      expect(found).toEqual(expected);
      expect((user + system) / 1e6).toBeLessThan(1);
    }),
    { numRuns: 500, interruptAfterTimeLimit: 4000 },
  );
});
