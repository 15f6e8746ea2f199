import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';

const folder = 'apps/api/dist/public';
const input = 'packages/capture/texts/en.json';

/** Runs an expression of bundle-pages.mjs, which has no types, and resolves to what it logs. */
async function evaluate(expression: string): Promise<string> {
  const script = `console.log(await (await import('./tools/dev/bundle-pages.mjs')).${expression})`;
  const args = ['--input-type=module', '--eval', script];
  return await text(spawn(process.execPath, args).stdout);
}

it('bundles again only after a change', async () => {
  expect(await evaluate('arePagesCurrent()')).toBe('true\n');
  const { atime, mtime } = await stat(input);
  onTestFinished(() => utimes(input, atime, mtime));
  await utimes(input, atime, new Date());
  expect(await evaluate('arePagesCurrent()')).toBe('false\n');
});

it('keeps every page in its place, because a gateway may be starting', async () => {
  const names = await readdir(folder);
  const builds = [1, 2].map(() => evaluate('bundlePages()'));
  const missing = new Set<string>();
  let areOver = false;
  const over = Promise.all(builds).finally(() => (areOver = true));
  while (!areOver) {
    for (const name of names) if (!existsSync(join(folder, name))) missing.add(name);
    await setImmediate();
  }
  expect(await over).toEqual(['undefined\n', 'undefined\n']);
  expect([...missing]).toEqual([]);
  expect((await readdir(folder)).toSorted()).toEqual(names.toSorted());
}, 60_000);
