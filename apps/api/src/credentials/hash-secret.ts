import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * Plain SHA-256, fast enough for every request. That is safe only because the secrets are 256
 * random bits made by `npm run credentials`: there is no dictionary to try them from.
 */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** In constant time. */
export function matchesHash(secret: string, hash: string): boolean {
  return timingSafeEqual(Buffer.from(hashSecret(secret)), Buffer.from(hash));
}
