import type { DecodeCost, ImageSize } from './image-header-jpeg.js';

/**
 * The work of a check, in milliseconds of one core of the machine on which it was measured (AMD EPYC,
 * 2026-11-26). Only ratios matter: each worker measures how much work it does in a second.
 */

/** Detection, classification and the queue, whatever the size of the picture. */
const WORK_OF_CHECK = 16;
/** Pixels are copied and scaled; a large JPEG's are decoded at a fraction of its size. */
const WORK_OF_MEGAPIXEL = 1;
/** A decoder visits a baseline JPEG's samples once, a progressive one's in each scan. */
const WORK_OF_MEGASAMPLE = 1.2;

/** Photos of phones have 0.3 to 0.5 bytes a pixel, recompressed ones fewer. */
const BYTES_OF_PIXEL = 0.4;
/** A body of unknown length is taken for a selfie. */
const SELFIE_BYTES = 100_000;

/** The work that an engine does in a second, before a worker has measured it. */
export const WORK_OF_ENGINE_SECOND = 1000;

/** Assumed for a queued check of an older gateway, whose job does not say its work. */
export const TYPICAL_WORK = 20;

/** The work of a check of this image. */
export function workOf({ width, height, cost }: ImageSize & { cost: DecodeCost }): number {
  const megapixels = (width * height) / 1e6;
  const megasamples = cost.samples / 1e6;
  return WORK_OF_CHECK + WORK_OF_MEGAPIXEL * megapixels + WORK_OF_MEGASAMPLE * megasamples;
}

/** The work that a request is taken to bring, before its body is read. */
export function workOfBody(bytes = SELFIE_BYTES): number {
  const megapixels = bytes / BYTES_OF_PIXEL / 1e6;
  return WORK_OF_CHECK + (WORK_OF_MEGAPIXEL + 1.5 * WORK_OF_MEGASAMPLE) * megapixels;
}
