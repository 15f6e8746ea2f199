import { LivegateError, requireImagePixels } from '@livegate/core';
import type { ImageHeader } from '@livegate/core';
import sharp from 'sharp';
import type { Picture } from './picture.js';

/**
 * Bytes of a JPEG or PNG to upright 8-bit sRGB pixels. The size in the header is judged before any
 * pixel is decoded. Throws LivegateError `image_dimensions_exceeded` or `invalid_image`.
 */
export async function decodeImage(bytes: Uint8Array, maxImagePixels: number): Promise<Picture> {
  requireImagePixels(await readHeader(bytes), maxImagePixels);
  try {
    return await decodePixels(bytes, maxImagePixels);
  } catch (cause) {
    throw new LivegateError('invalid_image', { detail: 'the pixels cannot be decoded', cause });
  }
}

/** Leaves libvips only its JPEG and PNG loaders, in this whole process: less code to attack. */
export function allowOnlyJpegAndPng(): void {
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: ['VipsForeignLoadJpeg', 'VipsForeignLoadPng'] });
}

async function readHeader(bytes: Uint8Array): Promise<ImageHeader> {
  try {
    return await sharp(bytes, { limitInputPixels: false }).metadata();
  } catch (cause) {
    throw new LivegateError('invalid_image', { detail: 'the header cannot be read', cause });
  }
}

async function decodePixels(bytes: Uint8Array, maxImagePixels: number): Promise<Picture> {
  // 'error' refuses truncated files and broken PNG checksums, but not mere warnings: some phones'
  // selfie cameras write JPEGs with invalid scan parameters that every viewer shows.
  const { data, info } = await sharp(bytes, {
    failOn: 'error',
    limitInputPixels: maxImagePixels,
    autoOrient: true,
  })
    .flatten({ background: 'white' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return { pixels: data, width: info.width, height: info.height };
}
