import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  AppControllerRoute,
  BullBoardQueues,
  BullBoardRequest,
  IServerAdapter,
  UIConfig,
} from '@bull-board/api/typings/app';
import { LivegateError } from '@livegate/core';
import express, { Router, type RequestHandler } from 'express';
import { refuseMethod, refusePath } from '../error-handler.js';
import { createBoardPage } from './board-page.js';

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
