// PNG files made of their chunks, without an encoder.
import { crc32, deflateSync } from 'node:zlib';

export type PngChunk = [type: string, data: Buffer];

/** A PNG with one more chunk at the byte offset `at`, by default right after the header. */
export function withPngChunk(png: Buffer, type: string, data: Buffer, at = 8 + 12 + 13): Buffer {
  return Buffer.concat([png.subarray(0, at), pngChunk(type, data), png.subarray(at)]);
}

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

export function pngOf(
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
export function pngHeader(of: {
  width: number;
  height: number;
  colorType: PngForm['colorType'];
}): Buffer {
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

/** The PNG chunk of a color profile. */
export function iccp(profile: Buffer): PngChunk {
  return ['iCCP', Buffer.concat([Buffer.from('profile\0\0'), deflateSync(profile)])];
}

/** Big-endian 32-bit numbers. */
export function uint32s(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
  return bytes;
}
