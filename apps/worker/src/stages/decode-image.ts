import { inspectHeader, LivegateError } from '@livegate/core';
import sharp from 'sharp';
import { placeInFrame } from './letterbox.js';
import type { DecodedImage, Picture, Size } from './picture.js';
import { readPixels } from './read-pixels.js';
import { shrinkPicture } from './shrink-picture.js';
import { stripPng } from './strip-png.js';

/** The last resort: by the limits that are checked before, a decode takes some two seconds. */
const DECODE_TIMEOUT_SECONDS = 10;

export interface DecodeOptions {
  /** Largest accepted picture, width times height. */
  maxImagePixels: number;
  /** The face detector's input. */
  frame: Size;
}

/**
 * Bytes of a JPEG or PNG to upright 8-bit sRGB pixels. The file is judged as the gateway judges it
 * before any pixel is decoded. Throws LivegateError `image_dimensions_exceeded` or `invalid_image`.
 */
export async function decodeImage(
  bytes: Uint8Array,
  { maxImagePixels, frame }: DecodeOptions,
): Promise<DecodedImage> {
  const picture = await decodePicture(bytes, maxImagePixels);
  return { picture, frame: await shrinkPicture(picture, placeInFrame(picture, frame, 0)) };
}

/** Leaves libvips only its JPEG and PNG loaders, in this whole process: less code to attack. */
export function allowOnlyJpegAndPng(): void {
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: ['VipsForeignLoadJpeg', 'VipsForeignLoadPng'] });
}

async function decodePicture(bytes: Uint8Array, maxImagePixels: number): Promise<Picture> {
  const { kind } = inspectHeader(bytes, maxImagePixels);
  try {
    return await decodePixels(kind === 'png' ? stripPng(bytes) : bytes, maxImagePixels);
  } catch (cause) {
    throw new LivegateError('invalid_image', { detail: 'the pixels cannot be decoded', cause });
  }
}

function decodePixels(bytes: Uint8Array, maxImagePixels: number): Promise<Picture> {
  // 'error' refuses truncated files and broken PNG checksums, but not mere warnings: some phones'
  // selfie cameras write JPEGs with invalid scan parameters that every viewer shows.
  const image = sharp(bytes, {
    failOn: 'error',
    limitInputPixels: maxImagePixels,
    autoOrient: true,
  });
  return readPixels(
    image
      .flatten({ background: 'white' })
      .toColourspace('srgb')
      .timeout({ seconds: DECODE_TIMEOUT_SECONDS }),
  );
}
