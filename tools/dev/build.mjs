// Compiles the worker's loops over pixels and the TypeScript projects, bundles gateway, worker and
// `npm start` with their packages into dist/bundle folders, and the browser code of the gateway's pages
// into apps/api/dist/public.
// Plain JavaScript, because the bootstrap runs it before there is a build.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Its time is the start of the last compilation that succeeded. */
const mark = 'tools/dist/compiled';
/**
 * The entries of each bundle, by the folder that has the compiled ones. The worker starts its threads
 * and child processes by paths relative to the file that does it.
 */
const bundles = {
  'apps/api/dist': { main: 'main.js' },
  'apps/worker/dist': {
    main: 'main.js',
    'engine-thread': 'engine/engine-thread.js',
    'decode-process': 'inference/decode/decode-process.js',
  },
  'tools/dist': { start: 'dev/start.js' },
};
const bundleOf = (dist) => join(dist, 'bundle');
const loops = { source: 'apps/worker/assembly', module: 'apps/worker/dist/pixel-loops.js' };
const compiled = ['packages/core/dist', loops.module, ...Object.keys(bundles).map(bundleOf), mark];
const sources = [
  ...['packages/core', 'apps/api', 'apps/worker'].flatMap((project) => [
    join(project, 'src'),
    join(project, 'tsconfig.json'),
  ]),
  'packages/core/package.json',
  'apps/worker/package.json',
  loops.source,
  'tools',
  'tsconfig.json',
  'tsconfig.base.json',
  'node_modules/.package-lock.json',
];

/** Compiles, and bundles what was compiled. */
export async function compile() {
  const startedAt = new Date();
  await compileLoops();
  const { status } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-b'], {
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) throw new Error('the TypeScript build failed: correct the errors above');
  const { rolldown } = await import('rolldown');
  await Promise.all(Object.keys(bundles).map((dist) => bundle(rolldown, dist)));
  writeFileSync(mark, '');
  utimesSync(mark, startedAt, startedAt);
}

/** Whether nothing has changed since the last compilation. Faster than asking the compiler. */
export function isCompiled() {
  if (!compiled.every((path) => existsSync(path))) return false;
  return statSync(mark).mtimeMs > Math.max(...sources.flatMap(listTimes));
}

/**
 * Writes a module that has the WebAssembly in it, so that a bundle needs no other file. Its exports are
 * described in instance.d.ts.
 */
async function compileLoops() {
  const { main } = await import('assemblyscript/asc');
  const file = join(loops.source, 'pixel-loops.ts');
  // With names for the functions in CPU profiles.
  const flags = '-O3 --debug --noAssert --runtime stub --importMemory --enable simd -o loops.wasm';
  let binary;
  const writeFile = (_name, contents) => (binary = contents);
  const { error } = await main([file, ...flags.split(' ')], { writeFile, stderr: process.stderr });
  if (error) throw new Error('the AssemblyScript build failed: correct the errors above');
  const code = `const module = new WebAssembly.Module(
  Buffer.from('${Buffer.from(binary).toString('base64')}', 'base64'),
);

export function instantiate(bytes) {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65_536) });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return { ...exports, memory: memory.buffer };
}
`;
  await mkdir(dirname(loops.module), { recursive: true });
  // By renaming, because a process that is starting may read it now.
  const written = `${loops.module}.${process.pid}`;
  writeFileSync(written, code);
  await rename(written, loops.module);
}

/** Packages with native code, and one that reads files of its own. */
const unbundled = ['onnxruntime-node', 'sharp', 'msgpackr-extract', /^@bull-board\//];

/** Programs with their packages as a few files, because Node takes long to load a thousand. */
async function bundle(rolldown, dist) {
  const entries = Object.entries(bundles[dist]).map(([name, file]) => [name, join(dist, file)]);
  const bundler = await rolldown({
    input: Object.fromEntries(entries),
    platform: 'node',
    external: unbundled,
    // ES modules where a package has both: what nothing imports is left out.
    resolve: { mainFields: ['module', 'main'] },
    // test/chaos runs bundles with another JOB_VERSION.
    optimization: { inlineConst: false },
    logLevel: 'warn',
  });
  const folder = await mkdtemp(join(dist, 'new-bundle-'));
  try {
    await bundler.write({
      dir: folder,
      chunkFileNames: '[name]-[hash].js',
      keepNames: true,
      sourcemap: true,
      sourcemapExcludeSources: true,
    });
    await replaceFiles(bundleOf(dist), folder);
  } finally {
    await bundler.close();
    await rm(folder, { recursive: true });
  }
}

const source = 'apps/api/pages';
const target = 'apps/api/dist/public';
const component = 'packages/capture';
const runbook = 'docs/how-to/runbook.md';
const targets = [target, join(component, 'dist')];
// Whatever can change a bundle: also the built domain, which the pages import, and the packages.
const inputs = [
  source,
  join(component, 'src'),
  join(component, 'texts'),
  'packages/core/dist',
  runbook,
  'tools/dev/build.mjs',
  'node_modules/.package-lock.json',
];

const options = {
  bundle: true,
  format: 'esm',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
};

/** The component, and each folder of apps/api/pages: page.html, page.css and page.ts. */
export async function bundlePages() {
  const { build } = await import('esbuild');
  const folder = await mkdtemp('apps/api/dist/new-pages-');
  try {
    const [pages, module] = [join(folder, 'pages'), join(folder, 'module')];
    // The console shows the runbook's sections beside what it finds.
    await Promise.all([
      bundleComponent(build, module),
      bundleFolders(build, pages),
      cp(runbook, join(pages, 'runbook.md')),
    ]);
    await cp(module, pages, { recursive: true });
    await replaceFiles(target, pages);
    await replaceFiles(join(component, 'dist'), module);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Whether the bundles are newer than everything that they are made of. */
export function arePagesCurrent() {
  return Math.min(...targets.flatMap(listTimes)) > Math.max(...inputs.flatMap(listTimes));
}

/**
 * When a file, or each file and folder in a folder, was changed last; 0 for one that is missing.
 * Without the build outputs in it. Synchronous, which is many times faster for hundreds of files.
 */
export function listTimes(path) {
  const own = statSync(path, { throwIfNoEntry: false });
  if (!own) return [0];
  if (!own.isDirectory()) return [own.mtimeMs];
  const names = readdirSync(path).filter((name) => name !== 'dist');
  return [own.mtimeMs, ...names.flatMap((name) => listTimes(join(path, name)))];
}

/** One after another and by renaming, because a process that is starting may read them now. */
async function replaceFiles(old, replacement) {
  await mkdir(old, { recursive: true });
  const names = await readdir(replacement);
  for (const name of names) await rename(join(replacement, name), join(old, name));
  const stale = (await readdir(old)).filter((name) => !names.includes(name));
  for (const name of stale) await rm(join(old, name), { recursive: true, force: true });
}

async function bundleFolders(build, folder) {
  const entries = await readdir(source, { withFileTypes: true });
  const pages = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  await build({
    ...options,
    entryPoints: pages.flatMap((name) => [
      { in: join(source, name, 'page.ts'), out: name },
      { in: join(source, name, 'page.css'), out: name },
    ]),
    outdir: folder,
    // Safari 15.4 and Chrome 94 of 2021-2022: older phones lack what the pages need.
    target: ['es2022', 'chrome94', 'firefox94', 'safari15.4'],
  });
  await Promise.all(
    pages.map((name) => cp(join(source, name, 'page.html'), join(folder, `${name}.html`))),
  );
}

/** `<livegate-capture>` as one module with its styles, and beside it what it loads only if needed. */
async function bundleComponent(build, folder) {
  const models = createRequire(import.meta.url)
    .resolve('@vladmandic/face-api/package.json')
    .replace('package.json', 'model');
  const [faces, points] = ['tiny_face_detector_model', 'face_landmark_68_tiny_model'].map((name) =>
    join(models, name),
  );
  await build({
    ...options,
    entryPoints: [join(component, 'src/livegate-capture.ts')],
    outdir: folder,
    loader: { '.css': 'text' },
    target: ['es2021', 'chrome100', 'firefox100', 'safari15.4'],
  });
  await Promise.all([
    cp(`${faces}-weights_manifest.json`, join(folder, 'tiny-face.json')),
    cp(`${faces}.bin`, join(folder, 'tiny-face.bin')),
    cp(`${points}-weights_manifest.json`, join(folder, 'face-points.json')),
    cp(`${points}.bin`, join(folder, 'face-points.bin')),
    cp(join(component, 'src/screen/livegate-capture.css'), join(folder, 'livegate-capture.css')),
    cp(join(component, 'texts/en.json'), join(folder, 'texts-en.json')),
    cp(join(component, 'texts/id.json'), join(folder, 'texts-id.json')),
  ]);
}
