import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ModelManifest } from '@livegate/worker/models/model-manifest';

const run = promisify(execFile);

type Source = NonNullable<ModelManifest['detector']['source']>;

/** Downloads the published files, in the order of `sources`, and verifies their hashes. */
export async function fetchPublishedFiles(sources: Source[]): Promise<Buffer[]> {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-models-'));
  try {
    const packages = new Map(sources.map((source) => [packageFolder(folder, source), source]));
    for (const [to, source] of packages) await fetchPackage(source, to);
    return await Promise.all(sources.map((source) => readVerified(source, folder)));
  } finally {
    await rm(folder, { recursive: true });
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

export interface PackageSource {
  package: string;
  /** An exact version. */
  version: string;
  /** `sha512-` and the digest in base64. Without it, only npm checks the package, with its registry. */
  integrity?: string;
}

/**
 * Unpacks a package into the folder `to`, without its dependencies and without running its code. Uses npm
 * and so the user's settings: registry, credentials, proxy, cache.
 */
export async function fetchPackage(source: PackageSource, to: string): Promise<void> {
  const spec = `${source.package}@${source.version}`;
  const folder = await mkdtemp(join(tmpdir(), 'livegate-package-'));
  try {
    // --prefer-offline: a published version never changes, so npm's cached copy is as good.
    // --loglevel: `npm run --silent` would otherwise hide npm's error messages.
    const flags = ['--prefer-offline', '--ignore-scripts', '--loglevel=error'];
    const args = [...flags, '--pack-destination', folder];
    await run('npm', ['pack', spec, ...args], { shell: process.platform === 'win32' });
    const [file = ''] = await readdir(folder);
    const archive = join(folder, file);
    const digest = createHash('sha512')
      .update(await readFile(archive))
      .digest('base64');
    if (source.integrity && source.integrity !== `sha512-${digest}`) {
      throw new Error(`${spec} has the integrity sha512-${digest}, not ${source.integrity}`);
    }
    await mkdir(to, { recursive: true });
    await run('tar', ['-xzf', archive, '--strip-components=1', '-C', to]);
  } catch (cause) {
    throw new Error(
      `could not fetch ${spec} from npm: ${describe(cause)}\n` +
        `Check the network and npm's settings ("npm config list"), then run this command again.`,
      { cause },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

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
