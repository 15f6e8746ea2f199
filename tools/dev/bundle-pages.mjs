// Bundles the browser code of the gateway's pages into apps/api/dist/public. Plain JavaScript, because
// the bootstrap runs it right after the TypeScript build.
import { cp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

const source = 'apps/api/pages';
const target = 'apps/api/dist/public';

/** Each folder of apps/api/pages is a page: page.html, page.css and page.ts. */
export async function bundlePages() {
  const entries = await readdir(source, { withFileTypes: true });
  const pages = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  await rm(target, { recursive: true, force: true });
  await build({
    entryPoints: pages.flatMap((name) => [
      { in: join(source, name, 'page.ts'), out: name },
      { in: join(source, name, 'page.css'), out: name },
    ]),
    outdir: target,
    bundle: true,
    format: 'esm',
    // Safari 15.4 and Chrome 94 of 2021-2022: older phones lack what the pages need.
    target: ['es2021', 'chrome94', 'firefox94', 'safari15.4'],
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
  });
  await Promise.all(
    pages.map((name) => cp(join(source, name, 'page.html'), join(target, `${name}.html`))),
  );
}
