import type { ImageLimits, Leases } from '@livegate/core/domain';
import type { CheckQueue, RateLimiter } from '@livegate/core/ports';
import type { Log } from '@livegate/core/telemetry';
import express, { type Express, type RequestHandler, Router } from 'express';
import type { Admission } from '../admission/admission.js';
import { listModels, livez, readyz } from '../admission/status-routes.js';
import type { AwaitCheck } from '../checks/await-check.js';
import type { CancelCheck, DeleteCheck } from '../checks/end-check.js';
import { createJobRoutes } from '../checks/job-routes.js';
import { checkPassiveLiveness } from '../checks/passive-liveness.js';
import type { SubmitCheck } from '../checks/submit-check.js';
import {
  authenticate,
  authenticatePage,
  limitOtherRequests,
  limitRate,
} from '../credentials/authenticate.js';
import type { CredentialBook } from '../credentials/credential-book.js';
import { handleError, refuseMethod, refusePath } from '../http/answer-errors.js';
import type { TrustedProxies } from '../http/base-url.js';
import { collapseSlashes, identifyRequest } from '../http/identify-request.js';
import { logRequests } from '../http/log-requests.js';
import { readJsonBody } from '../http/read-json-body.js';
import { pageAssets, readOpenApiDocument, sendDocsAsset, showDocs } from '../openapi/serve-docs.js';
import { sendPageAsset, showPage } from '../http/serve-pages.js';
import { allowEmbedding, type EmbedOrigins } from '../sessions/allow-embedding.js';
import type { FrameAncestors } from '../sessions/capture-page.js';
import { limitAddress } from '../sessions/limit-page.js';
import { createPageRoutes } from '../sessions/page-routes.js';
import type { PageTheme } from '../sessions/page-theme.js';
import { readCreationBody } from '../sessions/read-creation.js';
import { createSessionRoutes, type SessionRoutesDeps } from '../sessions/session-routes.js';
import { takePhoto, type TakePhotoDeps } from '../sessions/take-photo.js';
import { observeRequests } from '../telemetry/observe-requests.js';
import type { UploadPermits } from '../http/upload/upload-permits.js';
import { createDeliveryHandlers, type WebhookRoutesDeps } from '../webhooks/delivery-routes.js';
import { createEndpointHandlers, createSecretHandlers } from '../webhooks/endpoint-routes.js';
import type { Webhooks } from '../webhooks/open-webhooks.js';

export interface ServerOptions {
  limits: ImageLimits;
  /** The longest time that a caller waits for a result. */
  waitLimitMs: number;
  /** Per tenant; 0 means no limit. */
  rateLimitPerMinute: number;
  /** The same for requests that start no check. */
  otherRequestsPerMinute: number;
  /** The URL of this service, without a trailing slash; if unset, each request's own. */
  publicUrl: string | undefined;
  /** Proxies whose `X-Forwarded-*` headers are used; none if unset. */
  trustedProxies?: TrustedProxies | undefined;
  /** Whether `/` is a page to try the service by hand. */
  playground?: boolean;
  sessions: SessionOptions;
}

export interface SessionOptions {
  /** How long a session stays readable after its expiry. */
  keepMs: number;
  /** Who may show the page in a frame. */
  frameAncestors: FrameAncestors;
  /** Texts, colors and logo of the page that are not the built-in ones. */
  theme?: PageTheme | undefined;
  /** Origins whose pages may embed the capture. */
  embedOrigins?: EmbedOrigins | undefined;
  /** Page requests of one address in a minute; 0 means no limit. */
  requestsPerAddress: number;
}

export interface ServerDeps extends SessionRoutesDeps, TakePhotoDeps {
  credentials: CredentialBook;
  rateLimiter: RateLimiter;
  admission: Admission;
  leases: Leases;
  uploads: UploadPermits;
  submitCheck: SubmitCheck;
  awaitCheck: AwaitCheck;
  cancelCheck: CancelCheck;
  deleteCheck: DeleteCheck;
  queue: CheckQueue;
  webhooks: Pick<Webhooks, 'routes' | 'acceptUrl' | 'delete'>;
  /** The operators' pages, if they are enabled. */
  queueBoard?: Router | undefined;
  console?: Router | undefined;
  /** Counts requests for the console. */
  observeTenants?: RequestHandler | undefined;
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
  if (deps.observeTenants) app.use(deps.observeTenants);
  app.use(logRequests(deps.log));
  app.use(collapseSlashes);

  app.get('/livez', livez);
  app.get('/readyz', readyz(deps.admission, deps.isClosing));
  app.get('/v1/models', listModels(deps.admission));
  app.get('/openapi.json', readOpenApiDocument({ ...options, pageAssets }));
  app.get('/docs', showDocs(deps.credentials));
  app.get('/docs/:asset', sendDocsAsset);
  const publicPaths = ['/livez', '/readyz', '/v1/models', '/openapi.json', '/docs', '/docs/:asset'];
  app.all(publicPaths, refuseMethod('GET', 'HEAD'));
  if (options.playground) app.get('/', showPage('playground', { camera: 'self' }));
  app.use('/pages', sendPageAsset);

  app.post(
    '/face/v1/passive-liveness',
    authenticate(deps.credentials, 'passive-liveness'),
    limitRate(deps.rateLimiter, options.rateLimitPerMinute),
    checkPassiveLiveness(options, deps),
  );
  app.all('/face/v1/passive-liveness', refuseMethod('POST'));

  const limitOthers = limitOtherRequests(deps.rateLimiter, options.otherRequestsPerMinute);
  app.use(jobRoutes(options, deps), sessionRoutes(options, deps), pageRoutes(options, deps));
  const forWebhooks = [authenticate(deps.credentials, 'webhook-endpoints'), limitOthers];
  const forRoutes = { ...deps.webhooks.routes, publicUrl: options.publicUrl };
  app.use(webhookRoutes(forRoutes, forWebhooks));

  app.use(operatorRoutes(options, deps));
  app.use(refusePath);
  app.use(handleError);
  return app;
}

/** Every route by which tenants read and end their checks. */
function jobRoutes(options: ServerOptions, deps: ServerDeps): Router {
  const jobs = createJobRoutes(options, deps);
  const mayRead = [
    authenticate(deps.credentials, 'passive-liveness'),
    limitOtherRequests(deps.rateLimiter, options.otherRequestsPerMinute),
  ];
  const router = Router();
  const one = '/v1/jobs/:id';

  router.get(one, mayRead, jobs.read);
  router.delete(one, mayRead, jobs.remove);
  router.all(one, refuseMethod('GET', 'HEAD', 'DELETE'));
  router.post(`${one}/cancel`, mayRead, jobs.cancel);
  router.all(`${one}/cancel`, refuseMethod('POST'));
  return router;
}

/**
 * The operators' pages, for which a browser asks for a password. The console has no rate, because it
 * must open while Redis, which counts requests, does not answer. Its streams are limited, and its
 * snapshots shared.
 */
function operatorRoutes(options: ServerOptions, deps: ServerDeps): Router {
  const { credentials, rateLimiter, queueBoard, console } = deps;
  const forOperators = authenticatePage(credentials, 'queue-board');
  const limitOthers = limitOtherRequests(rateLimiter, options.otherRequestsPerMinute);
  const router = Router();
  if (queueBoard) router.use('/operator/queues', forOperators, limitOthers, queueBoard);
  if (console) router.use('/console', forOperators, console);
  return router;
}

/** Every route by which tenants manage hosted sessions. */
function sessionRoutes(options: ServerOptions, deps: ServerDeps): Router {
  const { rateLimiter, credentials } = deps;
  const sessions = createSessionRoutes({ ...options, ...options.sessions }, deps);
  const forSessions = authenticate(credentials, 'sessions');
  const limitTenant = limitRate(rateLimiter, options.rateLimitPerMinute);
  const limitOthers = limitOtherRequests(rateLimiter, options.otherRequestsPerMinute);
  const router = Router();
  const collection = '/face/v1/passive-liveness-sessions';
  const one = `${collection}/:sid`;

  router.post(collection, forSessions, limitTenant, readCreationBody, sessions.create);
  router.all(collection, refuseMethod('POST'));

  router.get(one, forSessions, limitOthers, sessions.read);
  router.delete(one, forSessions, limitOthers, sessions.remove);
  router.all(one, refuseMethod('GET', 'HEAD', 'DELETE'));
  return router;
}

/** Every route of the page that a person is sent to. The sid is the credential. */
function pageRoutes(options: ServerOptions, deps: ServerDeps): Router {
  const pages = createPageRoutes(options.sessions, deps);
  const perMinute = options.sessions.requestsPerAddress;
  const trustsProxies = options.trustedProxies !== undefined;
  const router = Router();
  const one = '/sessions/:sid';

  router.use('/sessions', limitAddress(deps.rateLimiter, { perMinute, trustsProxies }));

  router.use('/sessions', allowEmbedding(options.sessions.embedOrigins ?? []));

  router.get(one, pages.show);
  router.all(one, refuseMethod('GET', 'HEAD'));
  router.get(`${one}/state`, pages.readState);
  router.all(`${one}/state`, refuseMethod('GET', 'HEAD'));
  router.post(`${one}/photo`, takePhoto(options, deps));
  router.post(`${one}/cancel`, pages.cancel);
  router.all([`${one}/photo`, `${one}/cancel`], refuseMethod('POST'));
  return router;
}

/** Every route that manages webhooks. `mayManage` authenticates the caller and limits its rate. */
export function webhookRoutes(deps: WebhookRoutesDeps, mayManage: RequestHandler[]): Router {
  const endpoints = createEndpointHandlers(deps);
  const secrets = createSecretHandlers(deps);
  const deliveries = createDeliveryHandlers(deps);
  const router = Router();
  const collection = '/v1/webhook-endpoints';
  const one = `${collection}/:id`;

  router.use([collection, '/v1/webhook-secret'], mayManage, readJsonBody);

  router.get(collection, endpoints.list);
  router.post(collection, endpoints.create);
  router.all(collection, refuseMethod('GET', 'HEAD', 'POST'));

  router.get(one, endpoints.read);
  router.patch(one, endpoints.update);
  router.delete(one, endpoints.remove);
  router.all(one, refuseMethod('GET', 'HEAD', 'PATCH', 'DELETE'));

  router.get(`${one}/deliveries`, deliveries.list);
  router.all(`${one}/deliveries`, refuseMethod('GET', 'HEAD'));

  router.post(`${one}/rotate-secret`, secrets.rotateEndpointSecret);
  router.post(`${one}/test`, deliveries.sendTest);
  router.post(`${one}/deliveries/:delivery/replay`, deliveries.replay);
  router.post('/v1/webhook-secret', secrets.rotateTenantSecret);
  router.all(
    [
      `${one}/rotate-secret`,
      `${one}/test`,
      `${one}/deliveries/:delivery/replay`,
      '/v1/webhook-secret',
    ],
    refuseMethod('POST'),
  );
  return router;
}
