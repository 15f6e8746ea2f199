// Bundles the browser code of the gateway's pages into apps/api/dist/public. Plain JavaScript, because
// the bootstrap runs it right after the TypeScript build.
import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { build } from 'esbuild';

const source = 'apps/api/pages';
const target = 'apps/api/dist/public';
const component = 'packages/capture';

const options = {
  bundle: true,
  format: 'esm',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
};

/** The component, and each folder of apps/api/pages: page.html, page.css and page.ts. */
export async function bundlePages() {
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  // The console shows the runbook's sections beside what it finds.
  const runbook = cp('docs/how-to/runbook.md', join(target, 'runbook.md'));
  await Promise.all([bundleComponent(), bundleFolders(), runbook]);
}

async function bundleFolders() {
  const entries = await readdir(source, { withFileTypes: true });
  const pages = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  await build({
    ...options,
    entryPoints: pages.flatMap((name) => [
      { in: join(source, name, 'page.ts'), out: name },
      { in: join(source, name, 'page.css'), out: name },
    ]),
    outdir: target,
    // Safari 15.4 and Chrome 94 of 2021-2022: older phones lack what the pages need.
    target: ['es2022', 'chrome94', 'firefox94', 'safari15.4'],
  });
  await Promise.all(
    pages.map((name) => cp(join(source, name, 'page.html'), join(target, `${name}.html`))),
  );
}

/** `<livegate-capture>` as one module with its styles, and beside it what it loads only if needed. */
async function bundleComponent() {
  const output = join(component, 'dist');
  const model = createRequire(import.meta.url)
    .resolve('@vladmandic/face-api/package.json')
    .replace('package.json', 'model/tiny_face_detector_model');
  await rm(output, { recursive: true, force: true });
  await build({
    ...options,
    entryPoints: [join(component, 'src/livegate-capture.ts')],
    outdir: output,
    loader: { '.css': 'text' },
    target: ['es2021', 'chrome100', 'firefox100', 'safari15.4'],
  });
  await Promise.all([
    cp(`${model}-weights_manifest.json`, join(output, 'tiny-face.json')),
    cp(`${model}.bin`, join(output, 'tiny-face.bin')),
    cp(join(component, 'src/screen/livegate-capture.css'), join(output, 'livegate-capture.css')),
    cp(join(component, 'texts/en.json'), join(output, 'texts-en.json')),
    cp(join(component, 'texts/id.json'), join(output, 'texts-id.json')),
  ]);
  await cp(output, target, { recursive: true });
}
