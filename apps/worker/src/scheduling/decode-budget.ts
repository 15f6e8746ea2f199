import { type ImageHeader, inspectHeader } from '@livegate/core/domain';
import { countCpus } from '../engine/count-cpus.js';
import { decodeBytes, type DecodeImage, isDecodedApart } from '../inference/decode/decode-image.js';
import { createRankedLimit } from './by-rank.js';

/** For decodes in this process, in MB (1e6 bytes): eight photos of 12 megapixels at full size. */
const MAX_MEGABYTES_HERE = 600;
/** For decodes in child processes, in MB: one of the largest accepted images. */
const MAX_MEGABYTES_APART = 500;

/**
 * Decodes in this process for each core: one runs, and the next is ready. libuv's threads take what
 * waits for them in the order of its arrival, whatever its rank.
 */
const DECODES_A_CORE = 2;

/** Goes before all images, whose ranks are 0 or more. */
const FIRST = -1;

/** A look at an image: its decode, with each side divided by the factor, and what follows. */
export interface Look {
  header: ImageHeader;
  factor: number;
  /** A lower one goes first. */
  rank: number;
}

/**
 * Admits looks by the memory that their decodes need, and decodes by the cores, both by rank. Images
 * that are decoded in child processes have memory of their own: they take seconds, and no photo waits
 * for them.
 */
export interface DecodeBudget {
  /** Starts the look once there is memory for it; the memory is reserved until it ends. */
  reserve<Result>(look: Look, run: () => Promise<Result>): Promise<Result>;
  /** A decode that starts once few enough others run; its look has memory reserved. */
  limitDecode(decode: DecodeImage, rank: number): DecodeImage;
  /** Starts the work once no memory is reserved, and reserves all of it until it ends. */
  runAlone<Result>(work: () => Promise<Result>): Promise<Result>;
}

/** For a worker that has up to `capacity` images in work at once. */
export function createDecodeBudget(capacity: number, cpus = countCpus()): DecodeBudget {
  // In MB, so that the sums are exact.
  const here = createRankedLimit(MAX_MEGABYTES_HERE, capacity);
  const apart = createRankedLimit(MAX_MEGABYTES_APART, capacity);
  const decodes = createRankedLimit(DECODES_A_CORE * cpus, capacity);

  return {
    reserve({ header, factor, rank }, run) {
      const isApart = isDecodedApart(header);
      const max = isApart ? MAX_MEGABYTES_APART : MAX_MEGABYTES_HERE;
      const units = Math.min(megabytesOf(header, factor), max);
      return (isApart ? apart : here).run({ units, rank }, run);
    },
    limitDecode: (decode, rank) => (bytes, header, factor) => {
      const run = () => decode(bytes, header, factor);
      return isDecodedApart(header) ? run() : decodes.run({ units: 1, rank }, run);
    },
    runAlone(work) {
      // Decodes apart take seconds; until they have ended, other images go on.
      const runHere = () => here.run({ units: MAX_MEGABYTES_HERE, rank: FIRST }, work);
      return apart.run({ units: MAX_MEGABYTES_APART, rank: FIRST }, runHere);
    },
  };
}

function megabytesOf(header: ImageHeader, factor: number): number {
  return Math.ceil(decodeBytes(header, factor) / 1e6);
}

/** Images that are decoded in processes of their own, for seconds. */
export interface LargeImages {
  /** The memory for such an image, at full size; 0 for another image. Throws as `inspectHeader`. */
  megabytesOf(image: Uint8Array): number;
  /** For all of them at once. */
  maxMegabytes: number;
}

export function describeLarge(maxImagePixels: number): LargeImages {
  return {
    megabytesOf(image) {
      const header = inspectHeader(image, maxImagePixels);
      return isDecodedApart(header) ? Math.min(megabytesOf(header, 1), MAX_MEGABYTES_APART) : 0;
    },
    maxMegabytes: MAX_MEGABYTES_APART,
  };
}
