import { availableParallelism } from 'node:os';

/**
 * What Node and the C library read once, at a process's start. libuv's threads decode the images: at
 * least one for each core, or the engines wait. glibc keeps what it frees in up to eight arenas per
 * core, among which megabytes of pixels wander: two keep the memory of a worker flat.
 */
export const nativeEnv = {
  UV_THREADPOOL_SIZE: `${Math.max(4, availableParallelism())}`,
  MALLOC_ARENA_MAX: '2',
};
