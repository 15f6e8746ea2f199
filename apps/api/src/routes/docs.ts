import { createRequire } from 'node:module';
import { LivegateError } from '@livegate/core';
import type { RequestHandler } from 'express';
import { pageHeaders } from '../page-headers.js';

// The page is Swagger UI from node_modules. Nothing on it comes from another host, and its policy
// would not let it: it works without a network. It is for browsers, so it is not JSON.

const packageUrl = createRequire(import.meta.url);

const files = Object.fromEntries(
  ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'].map((name) => [
    name,
    packageUrl.resolve(`swagger-ui-dist/${name}`),
  ]),
);

const OPEN_PAGE = 'open-page.js';

/** The files that the page needs, by the last part of their paths. */
export const pageAssets = [OPEN_PAGE, ...Object.keys(files)];

/** Paths are relative to `/docs`, so that they hold behind a proxy that adds a prefix. */
const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Livegate API</title>
    <link rel="icon" href="docs/favicon-32x32.png" />
    <link rel="stylesheet" href="docs/swagger-ui.css" />
  </head>
  <body>
    <div id="docs"></div>
    <script src="docs/swagger-ui-bundle.js"></script>
    <script src="docs/${OPEN_PAGE}"></script>
  </body>
</html>
`;

/** Left alone, Swagger UI would send the document to an online validator. */
const openPage = `SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  validatorUrl: null,
});
`;

export const showDocs: RequestHandler = (req, res) => {
  // From "/docs/" the relative paths would lead elsewhere.
  if (req.path.endsWith('/')) return res.redirect(301, '../docs');
  res.set(pageHeaders('none')).type('html').send(page);
};

export const sendDocsAsset: RequestHandler = (req, res) => {
  const name = String(req.params['asset']);
  const file = Object.hasOwn(files, name) ? files[name] : undefined;
  res.set('X-Content-Type-Options', 'nosniff');
  if (name === OPEN_PAGE) res.type('js').send(openPage);
  else if (file) res.sendFile(file);
  else throw new LivegateError('not_found');
};
