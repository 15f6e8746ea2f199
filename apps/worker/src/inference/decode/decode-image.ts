import { type ImageHeader, LivegateError } from '@livegate/core/domain';
import type { Picture } from '../picture.js';
import { createDecodeApart } from './decode-apart.js';
import { decodePixels, isOurFault, toMovable } from './decode-pixels.js';
import { type PreparedImage, prepareImage } from './prepare-image.js';

/**
 * Samples that a decoder may visit in this process: about a second of a core at most. A baseline JPEG
 * of 52 megapixels has 160 million, a progressive one of 25 has 350.
 */
const MAX_SAMPLES_HERE = 400_000_000;

/** Bytes that a decoder may hold in this process, which does not give all of them back at once. */
const MAX_HELD_HERE = 100_000_000;

/** A decode that takes so many times what it should does not get the processor. */
const TIMEOUT_SECONDS = 10;

/** A process of its own, with Node.js and libvips. */
const PROCESS_BYTES = 80_000_000;

export type DecodeImage = (bytes: Uint8Array, header: ImageHeader) => Promise<Picture>;

/**
 * Bytes of a JPEG or PNG to upright 8-bit sRGB pixels. The header is what `inspectHeader` found good,
 * as the gateway did before. Throws LivegateError `invalid_image`, or another Error where it is not
 * the image's fault.
 *
 * What may take long is decoded in a process that can be killed, as nothing else ends a decoder amid
 * its scans. The others are not: with a process, a photo of 12 megapixels would take three times as long.
 */
export function createDecodeImage(cpus: number): DecodeImage {
  const decodeApart = createDecodeApart(cpus);
  return async (bytes, header) => {
    const prepared = prepareImage(bytes, header);
    return isDecodedApart(header) ? await decodeApart(prepared) : await decodeHere(prepared);
  };
}

/** Memory that a decode takes: the picture and what it is made of, then the picture and its copy. */
export function decodeBytes(header: ImageHeader): number {
  const pictureBytes = (isInked(header) ? 4 : 3) * header.width * header.height;
  const processBytes = isDecodedApart(header) ? PROCESS_BYTES : 0;
  return pictureBytes + Math.max(header.cost.heldBytes, pictureBytes) + processBytes;
}

/** Inks count more: they become colors by a large table, or one by one in the only thread here. */
export function isDecodedApart(header: ImageHeader): boolean {
  const { samples, heldBytes } = header.cost;
  return samples * (isInked(header) ? 8 : 1) > MAX_SAMPLES_HERE || heldBytes > MAX_HELD_HERE;
}

function isInked(header: ImageHeader): boolean {
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
