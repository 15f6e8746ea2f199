import { expect, test } from 'vitest';
import { plainImageHasher } from './image-hasher.js';

test('the plain hash of an image is its SHA-256, and matches no other image', () => {
  // The example of FIPS 180-2, B.1.
  const hash = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  expect(plainImageHasher.hash(Buffer.from('abc'))).toBe(hash);
  expect(plainImageHasher.matches(Buffer.from('abc'), hash)).toBe(true);
  expect(plainImageHasher.matches(Buffer.from('abd'), hash)).toBe(false);
});
