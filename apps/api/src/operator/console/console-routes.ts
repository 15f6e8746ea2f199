import { LivegateError } from '@livegate/core/domain';
import { type Request, type RequestHandler, Router } from 'express';
import { refuseMethod } from '../../http/answer-errors.js';
import { showPage } from '../../http/serve-pages.js';
import type { SnapshotReader } from './read-snapshot.js';

export interface ConsoleRoutesDeps {
  reader: Pick<SnapshotReader, 'read'>;
  /** Answers with server-sent events. */
  openStream: RequestHandler;
}

/** The operators' console, below `/console`. Its caller authenticates. */
export function createConsoleRoutes({ reader, openStream }: ConsoleRoutesDeps): Router {
  const router = Router();
  router.use(keepPrivate);

  const show = showPage('console', { camera: 'none' });
  router.get('/', (req, res, next) => {
    // The links of the page are relative to a path without a slash at its end.
    if (pathOf(req).endsWith('/')) res.redirect(308, '../console');
    else show(req, res, next);
  });
  router.all('/', refuseMethod('GET', 'HEAD'));
  router.get('/snapshot', async (_req, res) => {
    res.json(await reader.read());
  });
  router.all('/snapshot', refuseMethod('GET', 'HEAD'));
  router.head('/events', refuseMethod('GET'));
  router.get('/events', openStream);
  router.all('/events', refuseMethod('GET'));
  return router;
}

const pathOf = ({ originalUrl }: Request) => originalUrl.split('?', 1)[0] ?? '';

/**
 * A page of another site must not use up the streams with the credentials that the browser knows; it
 * could not read them either way.
 */
const keepPrivate: RequestHandler = (req, res, next) => {
  const site = req.get('sec-fetch-site') ?? 'none';
  if (site === 'cross-site' || site === 'same-site') throw new LivegateError('forbidden');
  res.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
  next();
};
