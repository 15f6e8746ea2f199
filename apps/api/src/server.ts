import type { CheckQueue, ImageLimits, Leases, Log, RateLimiter } from '@livegate/core';
import express, { type Express, type Router } from 'express';
import { authenticate, authenticatePage } from './authenticate.js';
import type { AwaitCheck } from './await-check.js';
import type { TrustedProxies } from './base-url.js';
import type { CredentialBook } from './credentials/credential-book.js';
import { handleError, refuseMethod, refusePath } from './error-handler.js';
import type { Fleet } from './fleet.js';
import { identifyRequest } from './identify-request.js';
import { limitRate } from './limit-rate.js';
import { logRequests } from './log-requests.js';
import { collapseSlashes } from './collapse-slashes.js';
import type { CancelCheck, EraseCheck } from './end-check.js';
import { observeRequests } from './telemetry/observe-requests.js';
import './response-locals.js';
import { pageAssets, sendDocsAsset, showDocs } from './routes/docs.js';
import { livez, readyz } from './routes/health.js';
import { createJobRoutes } from './routes/jobs.js';
import { listModels } from './routes/models.js';
import { readOpenApiDocument } from './routes/openapi.js';
import { checkPassiveLiveness } from './routes/passive-liveness.js';
import type { SubmitCheck } from './submit-check.js';
import type { UploadPermits } from './upload-permits.js';
import type { Webhooks } from './webhooks/open-webhooks.js';
import { webhookRoutes } from './webhooks/webhook-routes.js';

export interface ServerOptions {
  limits: ImageLimits;
  /** How long a caller waits at most for a result. */
  waitLimitMs: number;
  /** Per tenant; 0 means no limit. */
  rateLimitPerMinute: number;
  /** Where callers reach this service, without a slash at its end; unset, each request tells. */
  publicUrl: string | undefined;
  /** Whose `X-Forwarded-*` headers are believed; nobody's, if that is not said. */
  trustedProxies?: TrustedProxies | undefined;
}

export interface ServerDeps {
  credentials: CredentialBook;
  rateLimiter: RateLimiter;
  fleet: Fleet;
  leases: Leases;
  uploads: UploadPermits;
  submitCheck: SubmitCheck;
  awaitCheck: AwaitCheck;
  cancelCheck: CancelCheck;
  eraseCheck: EraseCheck;
  queue: CheckQueue;
  webhooks: Pick<Webhooks, 'routes' | 'acceptUrl'>;
  /** A page for operators, if there is to be one. */
  queueBoard?: Router | undefined;
  log: Log;
  isClosing: () => boolean;
}

/** Every middleware and every route, in order. */
export function createServer(options: ServerOptions, deps: ServerDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  if (options.trustedProxies !== undefined) app.set('trust proxy', options.trustedProxies);

  app.use(identifyRequest);
  app.use(observeRequests());
  app.use(logRequests(deps.log));
  app.use(collapseSlashes);

  app.get('/livez', livez);
  app.get('/readyz', readyz(deps.fleet, deps.isClosing));
  app.get('/v1/models', listModels(deps.fleet));
  app.get('/openapi.json', readOpenApiDocument({ ...options, pageAssets }));
  app.get('/docs', showDocs(deps.credentials));
  app.get('/docs/:asset', sendDocsAsset);
  const publicPaths = ['/livez', '/readyz', '/v1/models', '/openapi.json', '/docs', '/docs/:asset'];
  app.all(publicPaths, refuseMethod('GET', 'HEAD'));

  const forChecks = authenticate(deps.credentials, 'passive-liveness');
  app.post(
    '/face/v1/passive-liveness',
    forChecks,
    limitRate(deps.rateLimiter, options.rateLimitPerMinute),
    checkPassiveLiveness(options, deps),
  );
  app.all('/face/v1/passive-liveness', refuseMethod('POST'));

  const jobs = createJobRoutes(options, deps);
  app.get('/v1/jobs/:id', forChecks, jobs.read);
  app.delete('/v1/jobs/:id', forChecks, jobs.erase);
  app.all('/v1/jobs/:id', refuseMethod('GET', 'HEAD', 'DELETE'));
  app.post('/v1/jobs/:id/cancel', forChecks, jobs.cancel);
  app.all('/v1/jobs/:id/cancel', refuseMethod('POST'));

  const { publicUrl } = options;
  const forWebhooks = authenticate(deps.credentials, 'webhook-endpoints');
  app.use(webhookRoutes({ ...deps.webhooks.routes, publicUrl }, forWebhooks));

  const forOperators = authenticatePage(deps.credentials, 'queue-board');
  if (deps.queueBoard) app.use('/operator/queues', forOperators, deps.queueBoard);

  app.use(refusePath);
  app.use(handleError);
  return app;
}
