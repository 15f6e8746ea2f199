import { once } from 'node:events';
import {
  closeOnSignal,
  createLog,
  startTelemetry,
  watchSettings,
  type BullQueue,
} from '@livegate/core';
import { createAwaitCheck } from './await-check.js';
import { createClaimKey } from './claim-key.js';
import { readApiConfig, type ApiConfig } from './config.js';
import { openCredentialBook } from './credentials/credential-book.js';
import { watchFleet, type Fleet } from './fleet.js';
import { closeHttpServer, createHttpServer } from './http-server.js';
import { openStore } from './open-store.js';
import { createServer, type ServerOptions } from './server.js';
import { createSubmitCheck } from './submit-check.js';
import { observeGateway } from './telemetry/observe-gateway.js';
import { tendQueue } from './tend-queue.js';
import { createUploadPermits } from './upload-permits.js';
import { ATTEMPT_LIMIT_MS, openWebhooks, type WebhooksOptions } from './webhooks/open-webhooks.js';

/** How long the start waits for Redis, to refuse one that would lose checks. */
const SETTINGS_WAIT_MS = 2000;

async function main(): Promise<void> {
  const config = readApiConfig(process.env);
  const log = createLog('api', config.LIVEGATE_LOG_LEVEL);
  // Before everything that records something.
  const telemetry = await startTelemetry({ service: 'livegate-api', env: process.env, log });
  const production = config.NODE_ENV === 'production';
  let closing = false;

  const file = config.LIVEGATE_CREDENTIALS_FILE;
  const credentials = await openCredentialBook({ file, production, log });
  const store = openStore(config, log);
  const maxWaiting = config.LIVEGATE_MAX_WAITING_CHECKS;
  const redisTimeoutMs = config.LIVEGATE_REDIS_TIMEOUT_MS;
  const settings = await watchSettings({ ...store, production, waitMs: SETTINGS_WAIT_MS, log });
  const fleet = await watchFleet({ ...store, settings, maxWaiting, redisTimeoutMs, log });
  const webhooks = openWebhooks(toWebhooksOptions(config), { ...store, checks: store.queue, log });
  const tender = tendQueue(store.queue, log);
  const awaitCheck = createAwaitCheck(store);
  const claimKey = createClaimKey(store);
  const submitCheck = createSubmitCheck({ ...store, awaitCheck, claimKey });

  const uploads = createUploadPermits(config.LIVEGATE_MAX_UPLOAD_BYTES_IN_FLIGHT);
  const checking = { ...store, fleet, uploads, webhooks, awaitCheck, submitCheck };
  observeGateway(checking);
  const app = createServer(toServerOptions(config), {
    ...checking,
    queueBoard: await openBoard(config, checking),
    credentials,
    log,
    isClosing: () => closing,
  });
  const server = createHttpServer(app, config.LIVEGATE_UPLOAD_TIMEOUT_MS);
  server.listen(config.PORT, config.LIVEGATE_HOST);
  await once(server, 'listening');
  log.info({ address: server.address() }, 'listening');

  const drainMs = config.LIVEGATE_DRAIN_MS;
  closeOnSignal(
    [
      () => (closing = true),
      () => Promise.all([closeHttpServer(server, drainMs), webhooks.stop()]),
      () => webhooks.close(),
      () => [tender, fleet, settings, credentials].forEach((watcher) => watcher.close()),
      () => store.close(),
      () => telemetry.close(),
    ],
    drainMs + Math.max(config.LIVEGATE_WAIT_LIMIT_MS, ATTEMPT_LIMIT_MS) + 5000,
    log,
  );
}

async function openBoard(config: ApiConfig, { queue, webhooks, fleet }: BoardDeps) {
  if (!config.LIVEGATE_QUEUE_BOARD) return undefined;
  const { openQueueBoard } = await import('./operator/queue-board.js');
  return openQueueBoard({
    queues: [queue.bullQueue, webhooks.bullQueue],
    publicUrl: config.LIVEGATE_PUBLIC_URL,
    isReachable: () => fleet.view() !== undefined,
  });
}

interface BoardDeps {
  queue: { bullQueue: BullQueue };
  webhooks: { bullQueue: BullQueue };
  fleet: Pick<Fleet, 'view'>;
}

function toServerOptions(config: ApiConfig): ServerOptions {
  return {
    limits: {
      maxImageBytes: config.LIVEGATE_MAX_IMAGE_BYTES,
      maxImagePixels: config.LIVEGATE_MAX_IMAGE_PIXELS,
    },
    waitLimitMs: config.LIVEGATE_WAIT_LIMIT_MS,
    rateLimitPerMinute: config.LIVEGATE_RATE_LIMIT_PER_MINUTE,
    publicUrl: config.LIVEGATE_PUBLIC_URL,
  };
}

function toWebhooksOptions(config: ApiConfig): WebhooksOptions {
  const ownUrl = `http://${config.LIVEGATE_HOST}:${config.PORT}`;
  return {
    httpsOnly: config.NODE_ENV === 'production',
    allowedAddresses: config.LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES ?? [],
    baseUrl: config.LIVEGATE_PUBLIC_URL?.replace(/\/+$/, '') ?? ownUrl,
  };
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
