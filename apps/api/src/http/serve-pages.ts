import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LivegateError } from '@livegate/core/domain';
import type { RequestHandler, Response } from 'express';
import { pageHeaders } from './responses.js';

/** What `tools/dev/build.mjs` made of `apps/api/pages`; found from any bundle that has this file. */
const manifest = createRequire(import.meta.url).resolve('@livegate/api/package.json');
const folder = new URL('dist/public/', pathToFileURL(manifest));

interface PageFile {
  bytes: Buffer;
  etag: string;
}

const files = new Map(readdirSync(folder).map((name) => [name, readPageFile(name)]));

function readPageFile(name: string): PageFile {
  const bytes = readFileSync(new URL(name, folder));
  return { bytes, etag: `"${createHash('sha256').update(bytes).digest('base64url')}"` };
}

/** Answers with a page, whose assets are below `pages/`. It loads nothing from another host. */
export function showPage(name: string, { camera }: { camera: 'self' | 'none' }): RequestHandler {
  const allowed = camera === 'self' ? '(self)' : '()';
  return (_req, res) => {
    res.set({ ...pageHeaders('none'), 'Permissions-Policy': `camera=${allowed}` });
    sendFile(res.type('html'), `${name}.html`);
  };
}

/** The text of a file. Throws an Error if there is none. */
export function readPageText(name: string): string {
  const file = files.get(name);
  if (!file) throw new Error(`the bundled pages have no ${name}: run "npm run build"`);
  return file.bytes.toString();
}

/** Below `/pages`: a script or style sheet, or what they load. Any site may load `<livegate-capture>`. */
export const sendPageAsset: RequestHandler = (req, res) => {
  const name = req.path.slice(1);
  if (!['GET', 'HEAD'].includes(req.method) || name.endsWith('.html')) {
    throw new LivegateError('not_found');
  }
  res.set('Access-Control-Allow-Origin', '*');
  sendFile(res.type(extname(name)), name);
};

function sendFile(res: Response, name: string): void {
  const file = files.get(name);
  if (!file) throw new LivegateError('not_found');
  res.set({ 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-cache', ETag: file.etag });
  if (res.req.fresh) res.status(304).end();
  else res.send(file.bytes);
}
