import sharp, { type Sharp } from 'sharp';
import type { PixelRows } from '../picture.js';

/**
 * The decoder's input: a file without the parts that the pixels do not need, and how to decode it.
 */
export interface PreparedImage {
  file: Uint8Array;
  task: DecodeTask;
}

export interface DecodeTask {
  /** Pixels by the header; libvips refuses a larger picture. */
  pixels: number;
  failOn: 'error' | 'warning';
  /** Color space before the profile is applied; by default libvips decides. */
  firstTo?: 'srgb' | 'b-w' | 'cmyk' | undefined;
  /** Takes the pixels for sRGB, whatever the file says. */
  ignoresProfile?: boolean | undefined;
  /** Longer side of the picture, if it is to be shrunk. */
  longerSide?: number | undefined;
  /** Whether the file may have an orientation tag, which is then read. */
  mayBeTurned: boolean;
}

/** Pixels as the file stores them, before its orientation tag is applied. */
export interface DecodedRows extends PixelRows {
  /** The tag's value in EXIF: 1 to 8. */
  orientation: number;
}

const UPRIGHT = 1;

/**
 * Blocks all libvips loaders except JPEG and PNG in this process, to reduce the attack surface.
 * Disables the cache, which would keep the pixels of an interlaced PNG: no image is decoded twice.
 */
export function setUpLibvips(): void {
  sharp.cache(false);
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: ['VipsForeignLoadJpeg', 'VipsForeignLoadPng'] });
}

/**
 * Decodes a prepared file to 8-bit sRGB pixels, in memory of libvips. Rejects with the error of
 * libvips; `isOurFault` decides whether the image is at fault.
 *
 * libvips checks the time limit between rows, so not while it reads the scans or passes before the
 * first row. 0 means no limit.
 */
export async function decodePixels(
  file: Uint8Array,
  task: DecodeTask,
  timeoutSeconds = 0,
): Promise<DecodedRows> {
  const [rows, orientation] = await Promise.all([
    readRows(file, task, timeoutSeconds),
    task.mayBeTurned ? readOrientation(file, task) : UPRIGHT,
  ]);
  return { ...rows, orientation };
}

async function readRows(
  file: Uint8Array,
  { pixels, failOn, firstTo, ignoresProfile = false, longerSide }: DecodeTask,
  timeoutSeconds: number,
): Promise<PixelRows> {
  const image = sharp(file, { failOn, limitInputPixels: pixels, ignoreIcc: ignoresProfile })
    .flatten({ background: 'white' })
    .timeout({ seconds: timeoutSeconds });
  if (longerSide) image.resize({ width: longerSide, height: longerSide, fit: 'inside' });
  if (firstTo) image.pipelineColourspace(firstTo);
  if (firstTo !== 'cmyk') return await readPixels(image.toColourspace('srgb'));
  return mixInks(await readPixels(image.toColourspace('cmyk')));
}

/** Reads the header only, which takes a tenth of the time in which libvips turns a photo. */
async function readOrientation(file: Uint8Array, { pixels, failOn }: DecodeTask): Promise<number> {
  const { orientation } = await sharp(file, { failOn, limitInputPixels: pixels }).metadata();
  return orientation ?? UPRIGHT;
}

/** Whether a decode ran out of memory or time, by the messages of libvips, its libraries and V8. */
export function isOurFault(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof RangeError) return true;
  return /out of memory|insufficient memory|^timeout:/i.test(error.message);
}

/**
 * Converts CMYK without a profile to RGB as browsers do: each ink absorbs its fraction of the
 * light.
 */
function mixInks({ pixels: inks, width, height }: PixelRows): PixelRows {
  const pixels = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < pixels.length; from += 4, to += 3) {
    const light = 255 - inks[from + 3]!;
    pixels[to] = ((255 - inks[from]!) * light + 127) / 255;
    pixels[to + 1] = ((255 - inks[from + 1]!) * light + 127) / 255;
    pixels[to + 2] = ((255 - inks[from + 2]!) * light + 127) / 255;
  }
  return { pixels, width, height };
}

/** Runs the sharp pipeline to 8-bit pixels, in memory that cannot leave this thread. */
export async function readPixels(image: Sharp): Promise<PixelRows> {
  const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  return { pixels: data, width: info.width, height: info.height };
}

/**
 * Copies the pixels to memory that can be transferred to another thread.
 *
 * The memory of a Buffer cannot. sharp's `toUint8Array()` copies as well, but its memory is never
 * freed (sharp 0.35.5, Node 20 and 24): a worker would leak one picture a check.
 */
export function toMovable<Rows extends PixelRows>(rows: Rows): Rows {
  return { ...rows, pixels: new Uint8Array(rows.pixels) };
}
