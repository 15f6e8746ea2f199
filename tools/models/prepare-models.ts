import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Catalogue,
  CATALOGUE_FILE,
  findProfile,
  listModels,
  parseCatalogue,
} from '@livegate/worker/models/catalogue';
import { readOwn } from '@livegate/worker/models/load-models';
import { readRollout, startingRollout } from '@livegate/worker/models/rollout';
import { fetchPublishedFiles, hash } from './fetch-published-files.js';

/** Relative to the repository's root, which is the working directory. */
const SHIPPED = join('models', CATALOGUE_FILE);

export interface PrepareOptions {
  /** Default: the active profile of the folder. */
  profile?: string | undefined;
  /** A base URL or a folder, instead of the sources that the catalogue names. */
  mirror?: string | undefined;
}

export type Say = (line: string) => void;

/**
 * Writes the catalogue and the models of a profile, verified by hash, into `modelsDir`, unless they
 * are there.
 *
 * Needs the network only for missing or changed models. Two processes may run it at the same time:
 * both write the same bytes, each file atomically. Throws an Error with advice.
 */
export async function prepareModels(
  modelsDir: string,
  say: Say,
  { profile, mirror = settings().mirror }: PrepareOptions = settings(),
): Promise<void> {
  await refuseManifest(modelsDir);
  await mkdir(modelsDir, { recursive: true });
  const catalogue = await readShipped(modelsDir);
  const name = await readProfile(modelsDir, profile);
  await prepareFiles(modelsDir, listModels(catalogue, findProfile(catalogue, name)), {
    mirror,
    say,
  });
  // The catalogue comes last, because a worker may start meanwhile.
  await writeAtomically(join(modelsDir, CATALOGUE_FILE), await readFile(SHIPPED));
}

/** The profile that a worker would start with. */
export async function readProfile(modelsDir: string, configured?: string): Promise<string> {
  // A file that cannot be read must not stop the command that replaces it.
  return configured ?? startingRollout({}, await readRollout(modelsDir)).profile;
}

/** What the environment says; an empty variable counts as unset. */
export function settings(env: NodeJS.ProcessEnv = process.env): PrepareOptions {
  return {
    profile: env['LIVEGATE_PROFILE']?.trim() || undefined,
    mirror: env['LIVEGATE_MODELS_MIRROR']?.trim() || undefined,
  };
}

/** The catalogue of this version, with what the site has added to the folder. */
export async function readShipped(modelsDir: string): Promise<Catalogue> {
  const shipped = { text: await readFile(SHIPPED, 'utf8'), path: SHIPPED };
  return parseCatalogue(shipped, await readOwn(modelsDir));
}

export type NamedModel = ReturnType<typeof listModels>[number];

/** Fetches and prepares the models whose files are missing or have another hash. */
export async function prepareFiles(
  modelsDir: string,
  models: NamedModel[],
  { mirror, say }: { mirror?: string | undefined; say: Say },
): Promise<void> {
  const missing = await findMissing(modelsDir, models);
  if (missing.length === 0) return say(`Models: ready in ${modelsDir}`);
  const from = mirror === undefined ? '' : ` from ${mirror}`;
  say(`Models: fetching ${missing.map(({ name }) => name).join(' and ')}${from} …`);
  const files = await fetchPublishedFiles(missing, mirror);
  for (const [i, model] of missing.entries()) {
    await writeAtomically(join(modelsDir, model.file), await prepare(files[i]!, model));
  }
  say(`Models: verified and ready in ${modelsDir}`);
}

/** A mirror may have the prepared file, which is used as it is. */
async function prepare(bytes: Buffer, model: NamedModel): Promise<Uint8Array> {
  if (hash(bytes) === model.sha256) return bytes;
  // Imported here: it would delay every `npm start`, which seldom prepares a file.
  const { prepareFile } = await import('./prepare-file.js');
  const prepared = await prepareFile(bytes, model);
  const found = hash(prepared.bytes);
  if (found === model.sha256) return prepared.bytes;
  throw new Error(
    `${model.name}: its prepared file has the sha256 ${found}, expected ${model.sha256}`,
  );
}

export async function findMissing<Model extends { file: string; sha256: string }>(
  modelsDir: string,
  models: Model[],
): Promise<Model[]> {
  const files = await Promise.all(models.map(({ file }) => readIfThere(join(modelsDir, file))));
  return models.filter(({ sha256 }, i) => !files[i] || hash(files[i]) !== sha256);
}

/** Until version 0.1.0, `manifest.json` described the models, and a site could write its own. */
async function refuseManifest(modelsDir: string): Promise<void> {
  const path = join(modelsDir, 'manifest.json');
  const record = join(modelsDir, 'manifest.sha256');
  const manifest = await readIfThere(path);
  if (!manifest) return;
  if ((await readIfThere(record))?.toString().trim() !== hash(manifest)) {
    throw new Error(
      `${path} is your own manifest, which this version does not read: describe your models in ` +
        `${join(modelsDir, 'own.json')} (docs/how-to/use-your-own-model.md), then remove it`,
    );
  }
  await Promise.all([path, record].map((file) => rm(file, { force: true })));
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
export async function writeAtomically(path: string, bytes: Uint8Array | string): Promise<void> {
  const draft = `${path}.${randomUUID()}`;
  try {
    await writeFile(draft, bytes);
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}
