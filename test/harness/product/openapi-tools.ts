import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const source = resolve(import.meta.dirname, '../openapi-tools');

/**
 * The folder where the packages of `test/openapi-tools` are installed, 280 MB, the first time by npm.
 * They are not dependencies of this project: no other command needs them, and the generators work on
 * TypeScript 5 and 6.
 */
export async function installOpenApiTools(): Promise<string> {
  const lock = await readFile(join(source, 'package-lock.json'));
  const version = createHash('sha256').update(lock).digest('hex').slice(0, 16);
  const folder = resolve('.data/openapi-tools', version);
  if (existsSync(folder)) return folder;
  // Moved when it is complete: an interrupted installation leaves nothing that looks like one.
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
