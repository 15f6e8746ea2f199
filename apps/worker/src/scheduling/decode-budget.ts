import type { ImageHeader } from '@livegate/core/domain';
import { Semaphore } from 'async-mutex';
import { decodeBytes, isDecodedApart } from '../inference/decode/decode-image.js';

/** For decodes in this process, in MB (1e6 bytes): eight photos of 12 megapixels. */
const MAX_MEGABYTES_HERE = 600;
/** For decodes in child processes, in MB: one of the largest accepted images. */
const MAX_MEGABYTES_APART = 500;

export interface DecodeBudget {
  /**
   * Starts the work once there is memory to decode its image; the memory is reserved until it ends.
   */
  run<Result>(header: ImageHeader, work: () => Promise<Result>): Promise<Result>;
  /** Starts the work once all other work has ended, and lets no other work start until it ends. */
  runAlone<Result>(work: () => Promise<Result>): Promise<Result>;
}

/**
 * Admits images to work by the memory that their decodes need, in order of arrival. Images that are
 * decoded in child processes have a queue of their own: they take seconds, and no photo waits for
 * them.
 */
export function createDecodeBudget(): DecodeBudget {
  // In MB, not bytes: releasing a semaphore takes one step for each free unit.
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
