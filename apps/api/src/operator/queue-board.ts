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
import { concealJobs } from './conceal-jobs.js';

export interface QueueBoardOptions {
  queues: BullQueue[];
  /** Where callers reach this service, when that is not the request's own host. */
  publicUrl: string | undefined;
  /** Whether Redis is: the board would wait for it without a limit. */
  isReachable: () => boolean;
}

/**
 * bull-board, for operators: what is in both queues, without what is in it about people. It asks Redis
 * only when somebody looks. Loading this file loads bull-board: `main` does so, if it is wanted.
 */
export function openQueueBoard({ queues, ...options }: QueueBoardOptions): Router {
  const server = createBoardServer(options);
  createBullBoard({
    queues: queues.map((queue) => concealJobs(new BullMQAdapter(queue, { readOnlyMode: true }))),
    serverAdapter: server.adapter,
    options: { uiConfig: BOARD_UI },
  });
  return server.router;
}

/** No link leads away from this service. */
const BOARD_UI = {
  boardTitle: 'Livegate queues',
  hideDocsLink: true,
  pollingInterval: { showSetting: true },
};

export interface BoardServerOptions {
  publicUrl: string | undefined;
  isReachable: () => boolean;
}

/** What bull-board has given so far. */
interface Board {
  queues: BullBoardQueues;
  uiConfig: UIConfig;
  /** Its own page. */
  template: string;
}

/**
 * Serves what bull-board makes, in the place of its own Express adapter: that one would also offer what
 * changes queues, answer errors in a form of its own, and load fonts from Google.
 */
export function createBoardServer({ publicUrl, isReachable }: BoardServerOptions) {
  const router = Router().use(keepPrivate);
  const board: Board = { queues: new Map(), uiConfig: {}, template: '' };

  const adapter: IServerAdapter = {
    setQueues: (queues) => keep({ queues }),
    setUIConfig: (uiConfig) => keep({ uiConfig }),
    setViewsPath: (folder) => keep({ template: readFileSync(join(folder, 'index.ejs'), 'utf8') }),
    // Errors are answered as everywhere.
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
      // A browser that is logged in can be led to send anything: there is nothing that changes a queue.
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
      if (!isReachable()) throw new LivegateError('unavailable', { detail: 'Redis is away' });
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
