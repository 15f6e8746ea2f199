import { createRequire } from 'node:module';
import { LivegateError } from '@livegate/core/domain';
import type { RequestHandler } from 'express';
import { type CredentialBook, developmentCredential } from '../credentials/credential-book.js';
import { basePathOf } from '../http/base-url.js';
import { pageHeaders } from '../http/responses.js';
import { createOpenApiDocument, type DocumentFacts } from './create-document.js';
import { createDocsPage, openPage } from './docs-page.js';
import { pageStyle } from './docs-style.js';

// The page is Swagger UI from node_modules. It works without a network: its security policy allows
// nothing from another host. It is for browsers, so unlike other answers it is not JSON.

const packageUrl = createRequire(import.meta.url);

const packageFiles = new Map(
  ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'].map((name) => [
    name,
    packageUrl.resolve(`swagger-ui-dist/${name}`),
  ]),
);

const ownFiles = new Map([
  ['open-page.js', { type: 'js', text: openPage }],
  ['page.css', { type: 'css', text: pageStyle }],
]);

/** The files that the page needs, by the last part of their paths. */
export const pageAssets = [...ownFiles.keys(), ...packageFiles.keys()];

const developmentPage = createDocsPage({ isDevelopment: true });
const plainPage = createDocsPage({ isDevelopment: false });

export function showDocs(credentials: Pick<CredentialBook, 'find'>): RequestHandler {
  return (req, res) => {
    // Below "/docs/" the relative paths would be wrong.
    if (req.path.endsWith('/')) return res.redirect(301, '../docs');
    const html = acceptsDefaults(credentials) ? developmentPage : plainPage;
    res.set(pageHeaders('none')).type('html').send(html);
  };
}

/** False in production: a credential book with the published secrets refuses to open there. */
function acceptsDefaults(credentials: Pick<CredentialBook, 'find'>): boolean {
  const { username, password_sha256, api_key_sha256 } = developmentCredential;
  const named = credentials.find(username);
  return named?.password_sha256 === password_sha256 && named.api_key_sha256 === api_key_sha256;
}

export const sendDocsAsset: RequestHandler = (req, res) => {
  const name = String(req.params['asset']);
  const own = ownFiles.get(name);
  const file = packageFiles.get(name);
  res.set('X-Content-Type-Options', 'nosniff');
  if (own) res.type(own.type).send(own.text);
  else if (file) res.sendFile(file);
  else throw new LivegateError('not_found');
};

/** Both forms are created once: per request, only the path prefix of a proxy can differ. */
export function readOpenApiDocument(facts: Omit<DocumentFacts, 'body'>): RequestHandler {
  const multipart = createOpenApiDocument({ ...facts, body: 'multipart' });
  const json = createOpenApiDocument({ ...facts, body: 'json' });
  return (req, res) => {
    const url = facts.publicUrl ?? (basePathOf(req, undefined) || '/');
    const document = req.query['body'] === 'json' ? json : multipart;
    res.json({ ...document, servers: [{ url }] });
  };
}
