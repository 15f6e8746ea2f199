import { walkJpeg } from '@livegate/core/domain';
import sharp from 'sharp';

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

/** A progressive JPEG of ten scans, as on many web pages. */
export async function progressiveJpeg(photo: Buffer): Promise<Buffer> {
  return sharp(photo).jpeg({ quality: 95, progressive: true }).toBuffer();
}

/** A baseline JPEG whose scan header ends in zeros, as some phones' selfie cameras write it. */
export function withInvalidScanParameters(jpeg: Buffer): Buffer {
  const copy = Buffer.from(jpeg);
  const scan = copy.indexOf(Buffer.from([0xff, 0xda]));
  const end = scan + 2 + copy.readUInt16BE(scan + 2);
  copy.fill(0, end - 3, end);
  return copy;
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

/** A JPEG with one more segment, right after its first two bytes. */
export function withJpegSegment(jpeg: Buffer, code: number, data: Buffer): Buffer {
  const segment = jpegSegment(code, [...data]);
  return Buffer.concat([jpeg.subarray(0, 2), segment, jpeg.subarray(2)]);
}

function jpegSegment(code: number, data: number[]): Buffer {
  const length = data.length + 2;
  return Buffer.from([0xff, code, length >> 8, length & 255, ...data]);
}

const oneCode = [1, ...Array<number>(15).fill(0), 0];
const dcTable = jpegSegment(0xc4, [0x00, ...oneCode]);
const acTable = jpegSegment(0xc4, [0x10, ...oneCode]);
