import { once } from 'node:events';
import { createLeases } from '@livegate/core/domain';
import { type BullQueue, watchSettings } from '@livegate/core/redis';
import { limitFullCollections } from '@livegate/core/runtime';
import type { Shutdown } from '@livegate/core/shutdown';
import { createLog, type Log, startTelemetry } from '@livegate/core/telemetry';
import { type Admission, openAdmission } from '../admission/admission.js';
import { createAwaitCheck } from '../checks/await-check.js';
import { createCancelAndDelete } from '../checks/end-check.js';
import { maintainQueue } from '../checks/maintain-queue.js';
import { createClaimKey } from '../checks/claim-key.js';
import { createSubmitCheck } from '../checks/submit-check.js';
import { createIsPermitted } from '../credentials/authenticate.js';
import { type CredentialBook, openCredentialBook } from '../credentials/credential-book.js';
import { closeHttpServer, createHttpServer } from '../http/http-server.js';
import { openSessions } from '../sessions/open-sessions.js';
import { readPageTheme } from '../sessions/page-theme.js';
import { openConsole } from '../operator/console/open-console.js';
import { observeGateway } from '../telemetry/observe-gateway.js';
import { createUploadPermits } from '../http/upload/upload-permits.js';
import { ATTEMPT_LIMIT_MS, openWebhooks, type WebhooksOptions } from '../webhooks/open-webhooks.js';
import { type ApiConfig, readApiConfig } from './config.js';
import { openStore } from './open-store.js';
import { createServer, type ServerOptions } from './server.js';

/** How long startup waits for Redis, to refuse settings that would lose checks. */
const SETTINGS_WAIT_MS = 2000;

/** Opens everything and listens. `/livez` works without Redis; `/readyz` needs Redis and a worker. */
export async function startGateway(env: NodeJS.ProcessEnv, shutdown: Shutdown): Promise<void> {
  limitFullCollections();
  const config = readApiConfig(env);
  const log = createLog('api', config.LIVEGATE_LOG_LEVEL);
  shutdown.configure({ log, graceMs: shutdownGraceMs(config) });
  // First, because everything that opens later may record telemetry.
  const publishesSamples = config.LIVEGATE_CONSOLE;
  const telemetry = await startTelemetry({ service: 'livegate-api', env, publishesSamples, log });
  shutdown.add(() => telemetry.close());
  const production = config.NODE_ENV === 'production';
  const file = config.LIVEGATE_CREDENTIALS_FILE;
  const credentials = await openCredentialBook({ file, production, log });
  shutdown.add(() => credentials.close());
  const services = openServices(config, { shutdown, credentials, log });
  observeGateway(services);
  const { measure } = telemetry;
  const isAllowed = createIsPermitted(credentials, 'queue-board');
  const operatorConsole = measure && openConsole({ ...services, isAllowed, measure, log });
  shutdown.add(() => operatorConsole?.close());

  const app = createServer(toServerOptions(config), {
    ...services,
    queueBoard: await openBoard(config, services),
    console: operatorConsole?.router,
    observeTenants: operatorConsole?.observeTenants,
    credentials: { ...credentials, recordUse: services.credentialUse.record },
    now: Date.now,
    log,
    isClosing: () => shutdown.signal.aborted,
  });
  const server = createHttpServer(app, {
    uploadTimeoutMs: config.LIVEGATE_UPLOAD_TIMEOUT_MS,
    maxConnections: config.LIVEGATE_MAX_CONNECTIONS,
  });
  const { stop } = services.webhooks;
  shutdown.add(() => {
    operatorConsole?.endStreams();
    return Promise.all([closeHttpServer(server, config.LIVEGATE_DRAIN_MS), stop()]);
  });
  server.listen(config.PORT, config.LIVEGATE_HOST);
  await once(server, 'listening');
  log.info({ address: server.address() }, 'listening');
  await services.settings.firstRead;
}

/** Time for waiting callers to get their answers, and for webhook attempts to end. */
function shutdownGraceMs(config: ApiConfig): number {
  const answerMs = Math.max(config.LIVEGATE_WAIT_LIMIT_MS, ATTEMPT_LIMIT_MS);
  return config.LIVEGATE_DRAIN_MS + answerMs + 5000;
}

/** Everything between HTTP and Redis. Does not wait for Redis. */
function openServices(config: ApiConfig, { shutdown, credentials, log }: ServicesDeps) {
  const leases = createLeases();
  const store = openStore(config, leases, log);
  shutdown.add(() => store.close());
  const production = config.NODE_ENV === 'production';
  const settings = watchSettings({ ...store, production, waitMs: SETTINGS_WAIT_MS, log });
  const { weightOf } = credentials;
  const limits = toAdmissionLimits(config);
  const admission = openAdmission({ ...store, ...limits, settings, weightOf, leases, log });
  shutdown.add(() => [admission, settings].forEach((watcher) => watcher.close()));
  const webhooks = openWebhooks(toWebhooksOptions(config), {
    ...store,
    checks: store.queue,
    settleSession: (ended) => sessions.settleSession(ended), // they need each other
    leases,
    log,
  });
  shutdown.add(async () => {
    await webhooks.stop();
    await webhooks.close();
  });

  const cancelAndDelete = createCancelAndDelete({ ...store, webhooks });
  const maintenance = maintainQueue({ ...store, ...cancelAndDelete }, log);
  shutdown.add(() => maintenance.close());
  const awaitCheck = createAwaitCheck(store);
  const claimKey = createClaimKey(store);
  const submitCheck = createSubmitCheck({
    ...store,
    ...cancelAndDelete,
    hasEndpoints: webhooks.hasEndpoints,
    awaitCheck,
    claimKey,
  });
  const forSessions = { ...store, ...cancelAndDelete, webhooks, submitCheck, now: Date.now };
  const sessions = openSessions(forSessions);
  const uploads = createUploadPermits(config.LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT, leases);
  return {
    ...store,
    ...cancelAndDelete,
    ...sessions,
    settings,
    admission,
    leases,
    uploads,
    webhooks,
    awaitCheck,
    submitCheck,
  };
}

interface ServicesDeps {
  shutdown: Shutdown;
  credentials: CredentialBook;
  log: Log;
}

function toAdmissionLimits(config: ApiConfig) {
  return {
    maxWaiting: config.LIVEGATE_MAX_WAITING_CHECKS,
    maxQueueWaitMs: config.LIVEGATE_MAX_QUEUE_WAIT_MS,
    maxAsyncWaitMs: config.LIVEGATE_MAX_ASYNC_WAIT_MS,
    redisTimeoutMs: config.LIVEGATE_REDIS_TIMEOUT_MS,
  };
}

function toWebhooksOptions(config: ApiConfig): WebhooksOptions {
  return {
    httpsOnly: config.NODE_ENV === 'production',
    allowedAddresses: config.LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES ?? [],
    maxPending: config.LIVEGATE_MAX_PENDING_DELIVERIES,
  };
}

function toServerOptions(config: ApiConfig): ServerOptions {
  const themeFile = config.LIVEGATE_PAGE_THEME_FILE;
  return {
    limits: {
      maxImageBytes: config.LIVEGATE_MAX_IMAGE_BYTES,
      maxImagePixels: config.LIVEGATE_MAX_IMAGE_PIXELS,
    },
    waitLimitMs: config.LIVEGATE_WAIT_LIMIT_MS,
    rateLimitPerMinute: config.LIVEGATE_RATE_LIMIT_PER_MINUTE,
    otherRequestsPerMinute: config.LIVEGATE_OTHER_REQUESTS_PER_MINUTE,
    publicUrl: config.LIVEGATE_PUBLIC_URL,
    trustedProxies: config.LIVEGATE_TRUST_PROXY,
    playground: config.LIVEGATE_PLAYGROUND ?? config.NODE_ENV !== 'production',
    sessions: {
      keepMs: config.LIVEGATE_RESULT_TTL_SECONDS * 1000,
      frameAncestors: config.LIVEGATE_SESSION_FRAME_ANCESTORS,
      theme: themeFile ? readPageTheme(themeFile) : undefined,
      embedOrigins: config.LIVEGATE_SESSION_EMBED_ORIGINS,
      requestsPerAddress: config.LIVEGATE_SESSION_REQUESTS_PER_ADDRESS,
    },
  };
}

async function openBoard(config: ApiConfig, { queue, webhooks, admission }: BoardDeps) {
  if (!config.LIVEGATE_QUEUE_BOARD) return undefined;
  const { openQueueBoard } = await import('../operator/queue-board.js');
  return openQueueBoard({
    queues: [queue.bullQueue, webhooks.bullQueue],
    publicUrl: config.LIVEGATE_PUBLIC_URL,
    isReachable: () => admission.view() !== undefined,
  });
}

interface BoardDeps {
  queue: { bullQueue: BullQueue };
  webhooks: { bullQueue: BullQueue };
  admission: Pick<Admission, 'view'>;
}
