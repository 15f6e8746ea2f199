import { LivegateError } from '../domain/errors.js';

/** Runs Redis commands; whatever goes wrong becomes `overloaded` or `unavailable`. */
export async function reachRedis<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    // Redis refuses writes with "OOM command not allowed …" at maxmemory under `noeviction`.
    const code = detail.includes('OOM') ? 'overloaded' : 'unavailable';
    throw new LivegateError(code, { detail: `redis: ${detail}`, cause: error });
  }
}
