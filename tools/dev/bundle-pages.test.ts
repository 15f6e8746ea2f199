import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';

const folder = 'apps/api/dist/public';

it('keeps every page in its place, because a gateway may be starting', async () => {
  const names = await readdir(folder);
  const script = "import('./tools/dev/bundle-pages.mjs').then((pages) => pages.bundlePages())";
  const builds = [1, 2].map(() => once(spawn(process.execPath, ['--eval', script]), 'exit'));
  const missing = new Set<string>();
  let areOver = false;
  const over = Promise.all(builds).finally(() => (areOver = true));
  while (!areOver) {
    for (const name of names) if (!existsSync(join(folder, name))) missing.add(name);
    await setImmediate();
  }
  expect(await over).toEqual([
    [0, null],
    [0, null],
  ]);
  expect([...missing]).toEqual([]);
  expect((await readdir(folder)).toSorted()).toEqual(names.toSorted());
}, 60_000);
