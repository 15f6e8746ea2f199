import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat, utimes } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { beforeAll, expect, it, onTestFinished } from 'vitest';

const folder = 'apps/api/dist/public';

/** Runs an expression of build.mjs, which has no types, and resolves to what it logs. */
async function evaluate(expression: string): Promise<string> {
  const script = `console.log(await (await import('./tools/dev/build.mjs')).${expression})`;
  const args = ['--input-type=module', '--eval', script];
  return await text(spawn(process.execPath, args).stdout);
}

// Vitest runs the sources, which may be newer than the build.
beforeAll(async () => {
  await evaluate('compile()');
  await evaluate('bundlePages()');
}, 60_000);

it.each([
  ['compiles', 'isCompiled()', 'packages/core/src/domain/verdict.ts'],
  ['compiles', 'isCompiled()', 'apps/api/src'],
  ['compiles', 'isCompiled()', 'apps/worker/assembly/pixel-loops.ts'],
  ['compiles', 'isCompiled()', 'apps/worker/tsconfig.json'],
  ['compiles', 'isCompiled()', 'tools/dev/start.ts'],
  ['bundles', 'arePagesCurrent()', 'packages/capture/texts/en.json'],
])('%s again only after a change: %s, %s', async (_verb, isCurrent, input) => {
  expect(await evaluate(isCurrent)).toBe('true\n');
  const { atime, mtime } = await stat(input);
  onTestFinished(() => utimes(input, atime, mtime));
  await utimes(input, atime, new Date());
  expect(await evaluate(isCurrent)).toBe('false\n');
});

/** The text of all modules of an app's bundle. */
async function readBundle(app: string): Promise<string> {
  const bundle = `apps/${app}/dist/bundle`;
  const names = (await readdir(bundle)).filter((name) => name.endsWith('.js'));
  return (await Promise.all(names.map((name) => readFile(join(bundle, name), 'utf8')))).join('\n');
}

it.each([
  ['api', ['@bull-board/api', '@bull-board/api/bullMQAdapter']],
  ['worker', ['onnxruntime-node', 'sharp']],
])('bundles %s with all packages but those with native code or files', async (app, packages) => {
  const code = await readBundle(app);
  const imported = [...code.matchAll(/^(?:import\b.*|\} from) "([^."][^"]*)";$/gm)].map(
    ([, name = '']) => name.replace(/^node:/, ''),
  );
  const others = new Set(imported.filter((name) => !builtinModules.includes(name)));
  expect([...others].toSorted()).toEqual(packages);
});

// ioredis and rate-limiter-flexible recognize a cluster by it.
it.each(['api', 'worker'])(
  'keeps the name of the class Cluster in the bundle of %s',
  async (app) => {
    expect(await readBundle(app)).toMatch(/\bclass Cluster extends /);
  },
);

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
