import { resolve } from 'node:path';
import Config from '@npmcli/config';
import npmDefinitions from '@npmcli/config/lib/definitions/index.js';
import type { Options } from 'pacote';

/** The user's own npm settings: registry, credentials, proxy, cache, certificate authorities. */
export async function readNpmOptions(): Promise<Options> {
  const config = new Config({
    ...npmDefinitions,
    npmPath: findNpm(),
    argv: [],
    // A copy, as loading the settings also writes to it.
    env: { ...process.env },
    cwd: process.cwd(),
  });
  await config.load();
  return config.flat;
}

/** npm's own folder may hold a built-in `npmrc`; npm tells the scripts it runs where that is. */
function findNpm(): string {
  const npmCli = process.env['npm_execpath'];
  return npmCli ? resolve(npmCli, '../..') : process.cwd();
}
