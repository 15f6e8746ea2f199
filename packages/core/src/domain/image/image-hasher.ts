import { createHash } from 'node:crypto';

/** What may be stored of an image to recognize it again. */
export interface ImageHasher {
  hash(image: Uint8Array): string;
  /** Whether the hash is of this image, also if it was made with an earlier key. */
  matches(image: Uint8Array, hash: string): boolean;
}

/** By its plain SHA-256. */
export const plainImageHasher: ImageHasher = {
  hash: (image) => createHash('sha256').update(image).digest('hex'),
  matches: (image, hash) => plainImageHasher.hash(image) === hash,
};
