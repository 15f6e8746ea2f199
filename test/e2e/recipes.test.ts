import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { writeSamplePhoto } from '../../tools/dev/sample-photo.js';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');

/** The programs in docs/how-to/async.md, by the names they have there. */
const recipes = new Map(
  [
    ...(await readFile(join(root, 'docs/how-to/async.md'), 'utf8')).matchAll(
      /```js (\S+)\n([^]*?)```/g,
    ),
  ].map(([, name = '', program = '']) => [name, program]),
);

describe('docs/how-to/async.md', () => {
  let folder: string;

  beforeAll(async () => {
    await mkdir(join(root, '.data'), { recursive: true });
    // Inside the repository, so that the recipes' imports resolve.
    folder = await mkdtemp(join(root, '.data', 'recipes-'));
    await writeSamplePhoto(join(root, '.data/samples/selfie.jpg'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('contains exactly the three recipes that are tested here', () => {
    expect([...recipes.keys()]).toEqual(['poll.mjs', 'long-poll.mjs', 'receiver.mjs']);
  });

  it.each([
    ['poll.mjs', /^succeeded \{"status":"success","result":\{.*"LOW"\}\}\n$/],
    ['long-poll.mjs', /^succeeded \{"status":"success","result":\{.*"LOW"\}\}\n$/],
    ['receiver.mjs', /^passive_liveness\.completed succeeded \{"status":"success",.*"LOW"\}\}\n$/],
  ])('contains a program that prints the outcome of a check: %s', async (name, output) => {
    const path = join(folder, name);
    await writeFile(path, recipes.get(name) ?? '');
    const env = { ...process.env, LIVEGATE_URL: inject('url') };
    const { stdout } = await run(process.execPath, [path], { cwd: root, env });
    expect(stdout).toMatch(output);
  });
});
