import type { Request } from 'express';

const probes = new Set(['/livez', '/readyz']);

/** Asked every few seconds, for ever: neither logged nor traced. */
export function isProbe({ path }: Request): boolean {
  return probes.has(path);
}
