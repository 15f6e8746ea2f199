import sharp, { type Sharp } from 'sharp';
import type { Picture } from '../picture.js';

/** How a prepared file is to be decoded. */
export interface DecodeTask {
  /** What its header says: libvips refuses a picture of more. */
  pixels: number;
  failOn: 'error' | 'warning';
  /** What the pixels become before their profile is applied; libvips decides where it is not given. */
  firstTo?: 'srgb' | 'b-w' | 'cmyk' | undefined;
}

/**
 * Leaves libvips only its JPEG and PNG loaders, in this whole process: less code to attack. And takes
 * its cache, which keeps the pixels of an interlaced PNG: no image comes twice.
 */
export function setUpLibvips(): void {
  sharp.cache(false);
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: ['VipsForeignLoadJpeg', 'VipsForeignLoadPng'] });
}

/**
 * A prepared file to upright 8-bit sRGB pixels, in memory of libvips. Rejects with what libvips says; `isOurFault` tells
 * whose fault that is.
 *
 * libvips looks at the time limit between two rows of the picture, and thus not while it reads scans
 * or passes ahead of the first row. 0 is no limit.
 */
export async function decodePixels(
  file: Uint8Array,
  { pixels, failOn, firstTo }: DecodeTask,
  timeoutSeconds = 0,
): Promise<Picture> {
  const image = sharp(file, { failOn, limitInputPixels: pixels, autoOrient: true })
    .flatten({ background: 'white' })
    .timeout({ seconds: timeoutSeconds });
  if (firstTo) image.pipelineColourspace(firstTo);
  if (firstTo !== 'cmyk') return await readPixels(image.toColourspace('srgb'));
  return mixInks(await readPixels(image.toColourspace('cmyk')));
}

/** Whether a decode failed for want of memory or time, by what libvips, its libraries and V8 say. */
export function isOurFault(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof RangeError) return true;
  return /out of memory|insufficient memory|^timeout:/i.test(error.message);
}

/** CMYK without a profile to RGB as browsers do it: each ink takes its share of the light away. */
function mixInks({ pixels: inks, width, height }: Picture): Picture {
  const pixels = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < pixels.length; from += 4, to += 3) {
    const light = 255 - inks[from + 3]!;
    pixels[to] = ((255 - inks[from]!) * light + 127) / 255;
    pixels[to + 1] = ((255 - inks[from + 1]!) * light + 127) / 255;
    pixels[to + 2] = ((255 - inks[from + 2]!) * light + 127) / 255;
  }
  return { pixels, width, height };
}

/** Runs the pipeline to its pixels, 8 bits each. Their memory stays in this thread. */
export async function readPixels(image: Sharp): Promise<Picture> {
  const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  return { pixels: data, width: info.width, height: info.height };
}

/**
 * The picture in memory that can be transferred to another thread.
 *
 * A Buffer's cannot, so it is copied. sharp's `toUint8Array()` copies as well, and what it makes is
 * never given back (sharp 0.35.5, Node 20 and 24): a worker would lose a picture's size with every check.
 */
export function toMovable({ pixels, width, height }: Picture): Picture {
  return { pixels: new Uint8Array(pixels), width, height };
}
