import type { ImageHeader } from '@livegate/core';
import { Semaphore } from 'async-mutex';
import { decodeBytes, isDecodedApart } from './stages/decode-image.js';

/** What images in work may take of this process's memory: eight photos of 12 megapixels. */
const MAX_MEGABYTES_HERE = 600;
/** And those that are decoded in processes of their own, with these: one of the largest. */
const MAX_MEGABYTES_APART = 500;

export interface DecodeRoom {
  /** Does the work as soon as there is memory for its image, until it ends. */
  run<Result>(header: ImageHeader, work: () => Promise<Result>): Promise<Result>;
  /** Does the work while there is no other. */
  runAlone<Result>(work: () => Promise<Result>): Promise<Result>;
}

/**
 * Admits images to work by the memory that their decodes take, first come, first served: but large
 * ones, which take seconds, in a queue of their own, so that no photo waits behind them.
 */
export function createDecodeRoom(): DecodeRoom {
  // In megabytes: a semaphore's release takes a step for each unit that is free.
  const here = new Semaphore(MAX_MEGABYTES_HERE);
  const apart = new Semaphore(MAX_MEGABYTES_APART);

  return {
    run(header, work) {
      const megabytes = Math.ceil(decodeBytes(header) / 1e6);
      return isDecodedApart(header)
        ? apart.runExclusive(work, Math.min(megabytes, MAX_MEGABYTES_APART))
        : here.runExclusive(work, Math.min(megabytes, MAX_MEGABYTES_HERE));
    },
    runAlone(work) {
      const runApart = () => apart.runExclusive(work, MAX_MEGABYTES_APART);
      return here.runExclusive(runApart, MAX_MEGABYTES_HERE);
    },
  };
}
