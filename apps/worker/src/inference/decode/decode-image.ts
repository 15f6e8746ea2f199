import { type ImageHeader, LivegateError } from '@livegate/core/domain';
import type { Picture } from '../picture.js';
import { createDecodeApart } from './decode-apart.js';
import { decodePixels, isOurFault, toMovable } from './decode-pixels.js';
import { type PreparedImage, prepareImage } from './prepare-image.js';

/**
 * Most samples that a decoder may visit in this process, about a second of a core. A baseline JPEG
 * of 52 megapixels has 160 million, a progressive one of 25 megapixels has 350 million.
 */
const MAX_SAMPLES_HERE = 400_000_000;

/** Most bytes that a decoder may allocate in this process, which frees them with a delay. */
const MAX_HELD_HERE = 100_000_000;

/** A decode in this process takes about 1 s; after this time it is starved of CPU. */
const TIMEOUT_SECONDS = 10;

/** Memory of a decode process with Node.js and libvips, without the image. */
const PROCESS_BYTES = 80_000_000;

export type DecodeImage = (bytes: Uint8Array, header: ImageHeader) => Promise<Picture>;

/**
 * Decodes a JPEG or PNG to upright 8-bit sRGB pixels. `header` is the result of `inspectHeader`.
 * Throws LivegateError `invalid_image`, or another Error if the image is not at fault.
 *
 * Images that may take long are decoded in a child process, because a decoder within its scans can
 * only be killed. Other images are not: in a child process a photo of 12 megapixels takes three
 * times as long.
 */
export function createDecodeImage(cpus: number): DecodeImage {
  const decodeApart = createDecodeApart(cpus);
  return async (bytes, header) => {
    const prepared = prepareImage(bytes, header);
    return isDecodedApart(header) ? await decodeApart(prepared) : await decodeHere(prepared);
  };
}

/**
 * Peak memory of a decode in bytes: the picture, and the decoder's buffers or the picture's copy.
 */
export function decodeBytes(header: ImageHeader): number {
  const pictureBytes = (isCmyk(header) ? 4 : 3) * header.width * header.height;
  const processBytes = isDecodedApart(header) ? PROCESS_BYTES : 0;
  return pictureBytes + Math.max(header.cost.heldBytes, pictureBytes) + processBytes;
}

/** CMYK counts eightfold: its conversion uses a large table, or a loop on the main thread. */
export function isDecodedApart(header: ImageHeader): boolean {
  const { samples, heldBytes } = header.cost;
  return samples * (isCmyk(header) ? 8 : 1) > MAX_SAMPLES_HERE || heldBytes > MAX_HELD_HERE;
}

function isCmyk(header: ImageHeader): boolean {
  return header.kind === 'jpeg' && header.components === 4;
}

async function decodeHere({ file, task }: PreparedImage): Promise<Picture> {
  try {
    return toMovable(await decodePixels(file, task, TIMEOUT_SECONDS));
  } catch (cause) {
    if (isOurFault(cause)) throw cause;
    throw new LivegateError('invalid_image', { detail: 'the pixels cannot be decoded', cause });
  }
}
