// Images in unusual, expensive or invalid encodings.
import { crc32, deflateSync } from 'node:zlib';
import { walkJpeg } from '@livegate/core/domain';
import sharp from 'sharp';

export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

export const orientations: Orientation[] = [1, 2, 3, 4, 5, 6, 7, 8];

/** How the pixels are stored for each orientation; a viewer that obeys the EXIF tag undoes it. */
const storedAs: Record<Orientation, { rotate: 0 | 90 | 180 | 270; mirror: boolean }> = {
  1: { rotate: 0, mirror: false },
  2: { rotate: 0, mirror: true },
  3: { rotate: 180, mirror: false },
  4: { rotate: 180, mirror: true },
  5: { rotate: 90, mirror: true },
  6: { rotate: 270, mirror: false },
  7: { rotate: 270, mirror: true },
  8: { rotate: 90, mirror: false },
};

/** The photo as a rotated camera stores it: rotated pixels and the EXIF orientation tag. */
export async function oriented(photo: Buffer, orientation: Orientation): Promise<Buffer> {
  const { rotate, mirror } = storedAs[orientation];
  const rotated = await sharp(photo).rotate(rotate).png().toBuffer();
  return sharp(rotated).flop(mirror).withMetadata({ orientation }).jpeg({ quality: 95 }).toBuffer();
}

/**
 * A CMYK JPEG without a color profile, as print software writes it, with one scan per channel. Cyan,
 * magenta and yellow are inverted red, green and blue; `light` is the inverted black, 255 for none.
 */
export async function cmykJpeg(photo: Buffer, light = 255): Promise<Buffer> {
  const { width, height } = await sharp(photo).metadata();
  const black = {
    width,
    height,
    channels: 3,
    background: { r: light, g: light, b: light },
  } as const;
  const planes = [
    ...([0, 1, 2] as const).map((channel) => sharp(photo).extractChannel(channel)),
    sharp({ create: black }).extractChannel(0),
  ];
  // Without optimized coding, all four JPEGs have the same tables.
  const settings = { quality: 95, optimiseCoding: false };
  const jpegs = await Promise.all(planes.map((plane) => plane.jpeg(settings).toBuffer()));
  const [first = Buffer.alloc(0)] = jpegs;
  const tables = [...walkJpeg(first)].filter(({ code }) => code === 0xdb || code === 0xc4);
  const size = [height >> 8, height & 255, width >> 8, width & 255];
  return Buffer.concat([
    Buffer.from('ffd8', 'hex'),
    // The Adobe marker: values are inverted, larger is lighter.
    jpegSegment(0xee, [...Buffer.from('Adobe'), 0, 100, 0, 0, 0, 0, 0]),
    ...tables.map(({ start, end }) => first.subarray(start, end)),
    jpegSegment(0xc0, [8, ...size, 4, ...[1, 2, 3, 4].flatMap((id) => [id, 0x11, 0])]),
    ...jpegs.flatMap((jpeg, i) => [jpegSegment(0xda, [1, i + 1, 0, 0, 63, 0]), scanDataOf(jpeg)]),
    Buffer.from('ffd9', 'hex'),
  ]);
}

/** The compressed data of a JPEG's only scan. */
function scanDataOf(jpeg: Buffer): Buffer {
  const scan = [...walkJpeg(jpeg)].find(({ code }) => code === 0xda);
  return jpeg.subarray(scan?.end, -2);
}

export async function grayscaleJpeg(photo: Buffer): Promise<Buffer> {
  return sharp(photo).grayscale().jpeg({ quality: 95 }).toBuffer();
}

export async function sixteenBitPng(photo: Buffer): Promise<Buffer> {
  return sharp(photo).toColourspace('rgb16').png().toBuffer();
}

/** The photo at 50% opacity. */
export async function alphaPng(photo: Buffer): Promise<Buffer> {
  return sharp(photo).ensureAlpha(0.5).png().toBuffer();
}

/** The first 60% of the file, with a complete header. */
export function truncated(image: Buffer): Buffer {
  return image.subarray(0, Math.floor(image.length * 0.6));
}

/** A baseline JPEG whose scan header ends in zeros, as some phones' selfie cameras write it. */
export function withInvalidScanParameters(jpeg: Buffer): Buffer {
  const copy = Buffer.from(jpeg);
  const scan = copy.indexOf(Buffer.from([0xff, 0xda]));
  const end = scan + 2 + copy.readUInt16BE(scan + 2);
  copy.fill(0, end - 3, end);
  return copy;
}

/** A PNG of a few dozen bytes that claims 40000x40000 pixels: 4.8 GB once decoded. */
export function pngBomb(): Buffer {
  const claimed = pngHeader({ width: 40_000, height: 40_000, colorType: 2 });
  return pngOf(claimed, Buffer.alloc(100));
}

/** A valid 2 KB grayscale PNG of 1 by 1,000,000 pixels: decoders spend time on every row. */
export function tallPng(): Buffer {
  const height = 1_000_000;
  // Each row is a filter byte and one black pixel.
  return pngOf(pngHeader({ width: 1, height, colorType: 0 }), Buffer.alloc(2 * height));
}

/** A PNG with a comment right after the header that inflates to 1,000 times its size. */
export function withTextBomb(png: Buffer, inflatedBytes = 10_000_000): Buffer {
  const text = deflateSync(Buffer.alloc(inflatedBytes));
  return withPngChunk(png, 'zTXt', Buffer.concat([Buffer.from('Comment\0\0'), text]));
}

/** A PNG with one more chunk at the byte offset `at`, by default right after the header. */
export function withPngChunk(png: Buffer, type: string, data: Buffer, at = 8 + 12 + 13): Buffer {
  return Buffer.concat([png.subarray(0, at), pngChunk(type, data), png.subarray(at)]);
}

/** A progressive JPEG of ten scans, as on many web pages. */
export async function progressiveJpeg(photo: Buffer): Promise<Buffer> {
  return sharp(photo).jpeg({ quality: 95, progressive: true }).toBuffer();
}

/** A valid 2 KB JPEG that repeats its last scan: the decoder passes over all pixels for each. */
export async function scanBomb(repeats = 100): Promise<Buffer> {
  const gray = sharp({ create: { width: 64, height: 64, channels: 3, background: 'gray' } });
  const jpeg = await gray.jpeg({ progressive: true }).toBuffer();
  const scan = Buffer.from(jpeg.subarray(jpeg.lastIndexOf(Buffer.from([0xff, 0xda])), -2));
  // The header's last byte. With 0 the scan is not a refinement, which could not be repeated.
  scan[1 + scan.readUInt16BE(2)] = 0;
  const repeated = Array.from({ length: repeats }, () => scan);
  return Buffer.concat([jpeg.subarray(0, -2), ...repeated, jpeg.subarray(-2)]);
}

export type PngChunk = [type: string, data: Buffer];

export interface PngForm {
  side: number;
  depth: 8 | 16;
  /** Gray, RGB, gray with alpha, RGB with alpha. */
  colorType: 0 | 2 | 4 | 6;
  isInterlaced: boolean;
  before: PngChunk[];
  after: PngChunk[];
}

/** A square PNG of one color, with chunks before and after its pixels. */
export function flatPng(color: number[], form: Partial<PngForm> = {}): Buffer {
  const { side = 4, depth = 8, colorType = 2, before = [], after = [] } = form;
  const header = pngHeader({ width: side, height: side, colorType });
  header.set([depth, colorType, 0, 0, form.isInterlaced ? 1 : 0], 8);
  // A 16-bit sample repeats the byte.
  const pixel = color.flatMap((value) => (depth === 16 ? [value, value] : [value]));
  const rowOf = (width: number) => Buffer.concat([Buffer.alloc(1), repeatPixel(pixel, width)]);
  const passes = form.isInterlaced ? adam7 : [[0, 0, 1, 1] as const];
  const rows = passes.flatMap(([left, top, across, down]) =>
    Array<Buffer>(Math.ceil((side - top) / down)).fill(rowOf(Math.ceil((side - left) / across))),
  );
  return pngOf(header, Buffer.concat(rows), { before, after });
}

/** The Adam7 passes of an interlaced PNG: first column, first row, column step, row step. */
const adam7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

function repeatPixel(pixel: number[], times: number): Buffer {
  return Buffer.alloc(pixel.length * times, Buffer.from(pixel));
}

/** Big-endian 32-bit numbers. */
export function uint32s(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
  return bytes;
}

/** EXIF data with nothing but the orientation. */
export function exif(orientation: Orientation): Buffer {
  const head = Buffer.from('MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0', 'latin1');
  return Buffer.concat([head, Buffer.from([orientation]), Buffer.alloc(6)]);
}

/** A JPEG of headers only. Its scans are empty, which decodes to gray. */
export function emptyJpeg(side: number, form: JpegForm): Buffer {
  const components = form.components.flatMap((id) => [id, 0x11, 0]);
  const size = [side >> 8, side & 255, side >> 8, side & 255];
  const scans = form.scans.map(([ids, from, to, bits]) =>
    jpegSegment(0xda, [ids.length, ...ids.flatMap((id) => [id, 0]), from, to, bits]),
  );
  return Buffer.concat([
    Buffer.from('ffd8', 'hex'),
    jpegSegment(0xdb, [0, ...Array<number>(64).fill(1)]),
    // Arithmetic coding (0xc9 and up) has no Huffman tables.
    ...(form.frame < 0xc9 ? [dcTable, acTable] : []),
    jpegSegment(form.frame, [8, ...size, form.components.length, ...components]),
    ...scans,
    Buffer.from('ffd9', 'hex'),
  ]);
}

export interface JpegForm {
  /** The frame's marker, 0xc0 to 0xcf. */
  frame: number;
  components: number[];
  /** Component ids, first and last coefficient, and successive approximation (high and low bit). */
  scans: [ids: number[], from: number, to: number, bits: number][];
}

/** A progressive JPEG's scans that refine a picture in as many steps as possible. */
export const slowScans: JpegForm['scans'] = [
  [[1, 2, 3], 0, 0, 0x01],
  ...[1, 2, 3].flatMap((id) =>
    [0x04, 0x43, 0x32, 0x21, 0x10].map((bits): JpegForm['scans'][number] => [[id], 1, 63, bits]),
  ),
];

/** Repeated arithmetic-coded scans of one component each: a decoder passes over all pixels for each. */
export function arithmeticJpeg(side: number, scans = 99): Buffer {
  return emptyJpeg(side, {
    frame: 0xc9,
    components: [1, 2, 3],
    scans: Array.from({ length: scans }, (_, i) => [[1 + (i % 3)], 0, 63, 0]),
  });
}

function jpegSegment(code: number, data: number[]): Buffer {
  const length = data.length + 2;
  return Buffer.from([0xff, code, length >> 8, length & 255, ...data]);
}

const oneCode = [1, ...Array<number>(15).fill(0), 0];
const dcTable = jpegSegment(0xc4, [0x00, ...oneCode]);
const acTable = jpegSegment(0xc4, [0x10, ...oneCode]);

/** A JPEG with one more segment, right after its first two bytes. */
export function withJpegSegment(jpeg: Buffer, code: number, data: Buffer): Buffer {
  const segment = jpegSegment(code, [...data]);
  return Buffer.concat([jpeg.subarray(0, 2), segment, jpeg.subarray(2)]);
}

/** The ICC profile of an image that has one. */
export async function profileOf(image: Buffer): Promise<Buffer> {
  return (await sharp(image).metadata()).icc!;
}

/** A color profile with a tag that contains a pipeline of `steps` identical steps. */
export function withPipeline(profile: Buffer, steps: number): Buffer {
  const step = Buffer.concat([
    Buffer.from('matf\0\0\0\0\0\x03\0\x03', 'latin1'),
    Buffer.from(Float32Array.from([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]).buffer).swap32(),
  ]);
  const head = Buffer.from('mpet\0\0\0\0\0\x03\0\x03', 'latin1');
  const places = Array.from({ length: steps }, () => [16 + 8 * steps, step.length]).flat();
  const pipeline = Buffer.concat([head, uint32s(steps, ...places), step]);
  return withProfileTag(profile, 'D2B0', pipeline);
}

function withProfileTag(profile: Buffer, name: string, data: Buffer): Buffer {
  const [header, rest] = [Buffer.from(profile.subarray(0, 128)), profile.subarray(132)];
  const count = profile.readUInt32BE(128);
  const [tags, bodies] = [Buffer.from(rest.subarray(0, 12 * count)), rest.subarray(12 * count)];
  // The new entry of 12 bytes moves the data of all tags.
  for (let i = 0; i < count; i++) {
    tags.writeUInt32BE(tags.readUInt32BE(12 * i + 4) + 12, 12 * i + 4);
  }
  const padding = Buffer.alloc(-profile.length & 3);
  const start = profile.length + 12 + padding.length;
  const entry = Buffer.concat([Buffer.from(name), uint32s(start, data.length)]);
  header.writeUInt32BE(start + data.length);
  return Buffer.concat([header, uint32s(count + 1), entry, tags, bodies, padding, data]);
}

/** The PNG chunk of a color profile. */
export function iccp(profile: Buffer): PngChunk {
  return ['iCCP', Buffer.concat([Buffer.from('profile\0\0'), deflateSync(profile)])];
}

function pngOf(
  header: Buffer,
  rows: Buffer,
  { before, after }: Pick<PngForm, 'before' | 'after'> = { before: [], after: [] },
): Buffer {
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    pngChunk('IHDR', header),
    ...before.map(([type, data]) => pngChunk(type, data)),
    pngChunk('IDAT', deflateSync(rows)),
    ...after.map(([type, data]) => pngChunk(type, data)),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

/** 8 bits per channel, not interlaced. */
function pngHeader(of: { width: number; height: number; colorType: PngForm['colorType'] }): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(of.width, 0);
  header.writeUInt32BE(of.height, 4);
  header.set([8, of.colorType], 8);
  return header;
}

function pngChunk(type: string, data: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  const checksum = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(typed));
  return Buffer.concat([length, typed, checksum]);
}
