import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { findFreePort } from '../../scripts/ports.js';
import { createEnv } from './processes.js';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const withoutCurl = spawnSync('curl', ['--version']).error !== undefined;

/** `npm start`, as the README has it, in a key space and on a port of its own. */
async function npmStart() {
  const port = await findFreePort();
  const env = { ...process.env, ...createEnv({ PORT: String(port) }) };
  const npm = spawn('npm', ['start'], { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void npm.kill('SIGKILL'));
  let printed = '';
  npm.stdout.on('data', (data: Buffer) => (printed += String(data)));
  await expect.poll(() => printed, { timeout: 60_000 }).toContain('curl ');
  return { npm, port, curl: /^ *(curl .*)$/m.exec(printed)?.[1] ?? '' };
}

async function listensAt(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/livez`).then(
    () => true,
    () => false,
  );
}

// Skipped only where there is no curl to paste the line into; CI installs it.
it.skipIf(withoutCurl)('npm start prints the curl line of the README, and it works', async () => {
  const { npm, port, curl } = await npmStart();
  const { stdout } = await run('sh', ['-c', curl], { cwd: root });
  expect(JSON.parse(stdout)).toMatchObject({ status: 'success', result: { status: 'LOW' } });

  const readme = await readFile(resolve(root, 'README.md'), 'utf8');
  const unwrapped = readme.replaceAll(/\\\n\s*/g, '');
  expect(unwrapped).toContain(curl.replace(`:${port}/`, ':8080/'));

  const exit = once(npm, 'exit');
  npm.kill('SIGTERM');
  await exit;
  expect(await listensAt(port)).toBe(false);
});
