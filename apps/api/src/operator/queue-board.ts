import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type {
  AppControllerRoute,
  BullBoardQueues,
  BullBoardRequest,
  IServerAdapter,
  UIConfig,
} from '@bull-board/api/typings/app';
import { LivegateError } from '@livegate/core/domain';
import type { BullQueue } from '@livegate/core/redis';
import express, { type RequestHandler, Router } from 'express';
import { refuseMethod, refusePath } from '../http/answer-errors.js';
import { basePathOf } from '../http/base-url.js';
import { pageHeaders } from '../http/responses.js';
import { redactJobs } from './redact-jobs.js';

export interface QueueBoardOptions {
  queues: BullQueue[];
  /** The URL of this service, if configured. */
  publicUrl: string | undefined;
  /** Whether Redis is reachable: otherwise the board would wait for it without a limit. */
  isReachable: () => boolean;
}

/**
 * bull-board for operators: the jobs of both queues, without personal data. It reads Redis only while
 * its page is open. Importing this file loads bull-board, so it is imported only if the board is enabled.
 */
export function openQueueBoard({ queues, ...options }: QueueBoardOptions): Router {
  const server = createBoardServer(options);
  createBullBoard({
    queues: queues.map((queue) => redactJobs(new BullMQAdapter(queue, { readOnlyMode: true }))),
    serverAdapter: server.adapter,
    options: { uiConfig: BOARD_UI },
  });
  return server.router;
}

/** Without links to other sites. */
const BOARD_UI = {
  boardTitle: 'Livegate queues',
  hideDocsLink: true,
  pollingInterval: { showSetting: true },
};

export interface BoardServerOptions {
  publicUrl: string | undefined;
  isReachable: () => boolean;
}

/** What bull-board has passed to the adapter so far. */
interface Board {
  queues: BullBoardQueues;
  uiConfig: UIConfig;
  /** The HTML of its page. */
  template: string;
}

/**
 * Replaces bull-board's Express adapter, which would also serve routes that change queues, answer
 * errors in its own form, and load fonts from Google.
 */
export function createBoardServer({ publicUrl, isReachable }: BoardServerOptions) {
  const router = Router().use(keepPrivate);
  const board: Board = { queues: new Map(), uiConfig: {}, template: '' };

  const adapter: IServerAdapter = {
    setQueues: (queues) => keep({ queues }),
    setUIConfig: (uiConfig) => keep({ uiConfig }),
    setViewsPath: (folder) => keep({ template: readFileSync(join(folder, 'index.ejs'), 'utf8') }),
    // The gateway's own error handler answers errors.
    setErrorHandler: () => adapter,
    setStaticPath(path, folder) {
      router.use(path, express.static(folder));
      return adapter;
    },
    setEntryRoute({ route }) {
      const showPage = createBoardPage({ ...board, publicUrl });
      for (const path of [route].flat()) router.get(path, showPage);
      return adapter;
    },
    setApiRoutes(routes) {
      for (const { method, route, handler } of routes) {
        if (method === 'get') router.get(route, answerWith(handler));
      }
      // Another site can make a logged-in browser send any request, so no route changes a queue.
      router.get('/*path', refusePath);
      router.all('/*path', refuseMethod('GET', 'HEAD'));
      return adapter;
    },
  };
  return { router, adapter };

  function keep(part: Partial<Board>): IServerAdapter {
    Object.assign(board, part);
    return adapter;
  }

  function answerWith(handler: AppControllerRoute['handler']): RequestHandler {
    return async ({ query, params }, res) => {
      if (!isReachable())
        throw new LivegateError('unavailable', { detail: 'Redis cannot be reached' });
      const request: BullBoardRequest = { ...board, query, params, body: {}, headers: {} };
      const { status = 200, body } = await handler(request);
      res.status(status).json(body);
    };
  }
}

const keepPrivate: RequestHandler = (_req, res, next) => {
  res.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
  next();
};

export interface BoardPageOptions {
  /** The HTML of bull-board's page. */
  template: string;
  uiConfig: UIConfig;
  /** Its path is the prefix of the page's links. */
  publicUrl: string | undefined;
}

/** Scripts and styles of the package, but not the Google fonts that its page also links. */
const ownAsset = /<(?:script|link) [^>]*"static\/[^>]+>(?:<\/script>)?/g;

/** An HTML page that loads bull-board's scripts, all of them from the package. */
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
