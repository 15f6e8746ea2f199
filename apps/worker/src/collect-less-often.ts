import { setFlagsFromString } from 'node:v8';

/**
 * Lets the heap, in this whole process, grow to four times what survived the last full collection: as
 * far as V8 goes by itself, too, where it does not expect to need them often.
 *
 * Pixels lie outside the heap but count towards its limit. A worker's heap is small, so that a dozen or
 * two of selfies led to a full collection (`test/integration/count-full-collections.mjs` counts them),
 * beside the quick ones that free pixels anyway.
 */
export function collectLessOften(): void {
  setFlagsFromString('--heap-growing-percent=300');
}
