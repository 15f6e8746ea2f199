import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const source = resolve(import.meta.dirname, '../../../../test/openapi-tools');

/**
 * Installs the packages of `test/openapi-tools` (280 MB) unless a previous run has, and returns their
 * folder. They are not dependencies of this project, because no other command needs them and the
 * generators need TypeScript 5 or 6.
 */
export async function installOpenApiTools(): Promise<string> {
  const lock = await readFile(join(source, 'package-lock.json'));
  const version = createHash('sha256').update(lock).digest('hex').slice(0, 16);
  const folder = resolve('.data/openapi-tools', version);
  if (existsSync(folder)) return folder;
  // The rename makes the installation atomic: an interrupted one is never used.
  const unfinished = `${folder}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  try {
    for (const name of ['package.json', 'package-lock.json']) {
      await copyFile(join(source, name), join(unfinished, name));
    }
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: unfinished });
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return folder;
}
