import type { UIConfig } from '@bull-board/api/typings/app';
import type { RequestHandler } from 'express';
import { basePathOf } from '../base-url.js';
import { pageHeaders } from '../page-headers.js';

export interface BoardPageOptions {
  /** bull-board's own page, which is a template. */
  template: string;
  uiConfig: UIConfig;
  /** Its path comes before that of the board in the page's links. */
  publicUrl: string | undefined;
}

/** Scripts and styles of the package itself: the fonts that its page also names are Google's. */
const ownAsset = /<(?:script|link) [^>]*"static\/[^>]+>(?:<\/script>)?/g;

/** A page for bull-board's scripts, made of nothing but its own files. It is for browsers. */
export function createBoardPage({
  template,
  uiConfig,
  publicUrl,
}: BoardPageOptions): RequestHandler {
  const assets = template.match(ownAsset) ?? [];
  if (assets.length === 0) throw new Error('the page of @bull-board/ui has no scripts');
  const config = JSON.stringify(uiConfig).replaceAll('<', String.raw`\u003c`);
  return (req, res) => {
    const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <base href="${basePathOf(req, publicUrl)}${req.baseUrl}/" />
    <title>Livegate queues</title>
    <link rel="icon" href="static/favicon-32x32.png" />
    ${assets.filter((asset) => asset.startsWith('<link')).join('\n    ')}
  </head>
  <body class="preload">
    <script id="__UI_CONFIG__" type="application/json">${config}</script>
    <div id="root"></div>
    ${assets.filter((asset) => asset.startsWith('<script')).join('\n    ')}
  </body>
</html>
`;
    res.set(pageHeaders('self')).type('html').send(page);
  };
}
