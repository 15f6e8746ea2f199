import { LivegateError, type ImageHeader } from '@livegate/core';
import sharp from 'sharp';
import type { Picture } from './picture.js';
import { readPixels } from './read-pixels.js';
import { stripPng } from './strip-png.js';

/** The last resort: by the limits that are checked before, a decode takes some two seconds. */
const DECODE_TIMEOUT_SECONDS = 10;

/**
 * Bytes of a JPEG or PNG to upright 8-bit sRGB pixels. The header is what `inspectHeader` found good,
 * as the gateway did before. Throws LivegateError `invalid_image`.
 */
export async function decodeImage(bytes: Uint8Array, header: ImageHeader): Promise<Picture> {
  try {
    return await decodePixels(header.kind === 'png' ? stripPng(bytes) : bytes, header);
  } catch (cause) {
    throw new LivegateError('invalid_image', { detail: 'the pixels cannot be decoded', cause });
  }
}

/** Leaves libvips only its JPEG and PNG loaders, in this whole process: less code to attack. */
export function allowOnlyJpegAndPng(): void {
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: ['VipsForeignLoadJpeg', 'VipsForeignLoadPng'] });
}

function decodePixels(bytes: Uint8Array, { width, height }: ImageHeader): Promise<Picture> {
  // 'error' refuses truncated files and broken PNG checksums, but not mere warnings: some phones'
  // selfie cameras write JPEGs with invalid scan parameters that every viewer shows.
  const image = sharp(bytes, {
    failOn: 'error',
    limitInputPixels: width * height,
    autoOrient: true,
  });
  return readPixels(
    image
      .flatten({ background: 'white' })
      .toColourspace('srgb')
      .timeout({ seconds: DECODE_TIMEOUT_SECONDS }),
  );
}
