import { createHash, randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';

export type HashAlgorithm = 'md5' | 'sha256';

/** The digest in hex. */
export function hash(bytes: Uint8Array, algorithm: HashAlgorithm): string {
  return createHash(algorithm).update(bytes).digest('hex');
}

/** Throws an Error if the bytes have another hash. */
export function requireHash(
  bytes: Uint8Array,
  algorithm: HashAlgorithm,
  { expected, what }: { expected: string; what: string },
): void {
  const found = hash(bytes, algorithm);
  if (found === expected) return;
  throw new Error(`refused ${what}: its ${algorithm} is ${found}, expected ${expected}`);
}

export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Readers see the old file or the complete new one: a rename within a folder is atomic. */
export async function writeAtomically(path: string, bytes: Uint8Array): Promise<void> {
  const draft = `${path}.${randomUUID()}`;
  try {
    await writeFile(draft, bytes);
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}
