import { setFlagsFromString } from 'node:v8';

/**
 * Lets the heap of this process grow to four times what survived the last full collection. V8 goes
 * as far by itself if it expects few collections.
 *
 * Pixels and uploads are outside the heap but count towards its limit. The heap is small, so a full
 * collection followed every 12 to 24 selfies in a worker, and every 20 MB of uploads in a gateway
 * (`test/integration/count-full-collections.mjs` counts those of a worker), although the quick
 * collections free such memory as well.
 */
export function limitFullCollections(): void {
  setFlagsFromString('--heap-growing-percent=300');
}
