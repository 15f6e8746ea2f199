import { once } from 'node:events';
import {
  closeOnSignal,
  connectForBackground,
  connectForRequests,
  createKeys,
  createLog,
  createRedisCheckQueue,
  createRedisIdempotencyKeys,
  createRedisImageStore,
  createRedisRateLimiter,
  createRedisReplyInbox,
  createRedisWorkerRegistry,
  type Log,
} from '@livegate/core';
import { v7 as uuidv7 } from 'uuid';
import { createAwaitCheck } from './await-check.js';
import { createClaimKey } from './claim-key.js';
import { readApiConfig, type ApiConfig } from './config.js';
import { openCredentialBook } from './credentials/credential-book.js';
import { watchFleet } from './fleet.js';
import { closeHttpServer, createHttpServer } from './http-server.js';
import { createServer } from './server.js';
import { createSubmitCheck } from './submit-check.js';
import { ATTEMPT_LIMIT_MS, openWebhooks } from './webhooks/open-webhooks.js';

async function main(): Promise<void> {
  const config = readApiConfig(process.env);
  const log = createLog('api', config.LIVEGATE_LOG_LEVEL);
  let closing = false;

  const credentials = await openCredentialBook({
    file: config.LIVEGATE_CREDENTIALS_FILE,
    production: config.NODE_ENV === 'production',
    log,
  });
  const store = connectStore(config, log);
  const fleet = await watchFleet({ ...store, maxWaiting: config.LIVEGATE_MAX_WAITING_CHECKS, log });
  const webhooks = openWebhooks(
    {
      httpsOnly: config.NODE_ENV === 'production',
      allowedAddresses: config.LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES ?? [],
      baseUrl:
        config.LIVEGATE_PUBLIC_URL?.replace(/\/+$/, '') ??
        `http://${config.LIVEGATE_HOST}:${config.PORT}`,
    },
    { ...store, checks: store.queue, log },
  );
  const awaitCheck = createAwaitCheck(store);
  const claimKey = createClaimKey(store);
  const submitCheck = createSubmitCheck({ ...store, awaitCheck, claimKey });

  const app = createServer(
    {
      limits: {
        maxImageBytes: config.LIVEGATE_MAX_IMAGE_BYTES,
        maxImagePixels: config.LIVEGATE_MAX_IMAGE_PIXELS,
      },
      waitLimitMs: config.LIVEGATE_WAIT_LIMIT_MS,
      rateLimitPerMinute: config.LIVEGATE_RATE_LIMIT_PER_MINUTE,
      publicUrl: config.LIVEGATE_PUBLIC_URL,
    },
    {
      ...store,
      credentials,
      fleet,
      webhooks,
      awaitCheck,
      submitCheck,
      log,
      isClosing: () => closing,
    },
  );
  const server = createHttpServer(app, config.LIVEGATE_UPLOAD_TIMEOUT_MS);
  server.listen(config.PORT, config.LIVEGATE_HOST);
  await once(server, 'listening');
  log.info({ address: server.address() }, 'listening');

  closeOnSignal(
    [
      () => (closing = true),
      () => Promise.all([closeHttpServer(server), webhooks.stop()]),
      () => webhooks.close(),
      () => fleet.close(),
      () => credentials.close(),
      () => store.close(),
    ],
    Math.max(config.LIVEGATE_WAIT_LIMIT_MS, ATTEMPT_LIMIT_MS) + 5000,
    log,
  );
}

/** Everything the gateway keeps in Redis, and the connections to it. */
function connectStore(config: ApiConfig, log: Log) {
  const keys = createKeys(config.LIVEGATE_KEY_PREFIX);
  const connect = (url: string, name: string) =>
    connectForRequests({ url, name }, config.LIVEGATE_REDIS_TIMEOUT_MS, log);
  const redis = connect(config.REDIS_URL, 'livegate-api');
  const blobRedis = config.BLOB_REDIS_URL
    ? connect(config.BLOB_REDIS_URL, 'livegate-api-blobs')
    : redis;

  const backgroundRedis = connectForBackground(
    { url: config.REDIS_URL, name: 'livegate-api-webhooks' },
    log,
  );

  const resultLifeSeconds = config.LIVEGATE_RESULT_TTL_SECONDS;
  const queue = createRedisCheckQueue({ redis, keys, resultLifeSeconds });
  const replies = createRedisReplyInbox({
    redis,
    blockingRedis: connectForBackground(
      { url: config.REDIS_URL, name: 'livegate-api-replies' },
      log,
    ),
    keys,
    gatewayId: uuidv7(),
    log,
  });
  return {
    redis,
    backgroundRedis,
    keys,
    queue,
    replies,
    imageStore: createRedisImageStore({
      redis: blobRedis,
      keys,
      lifeSeconds: config.LIVEGATE_IMAGE_TTL_SECONDS,
    }),
    idempotencyKeys: createRedisIdempotencyKeys({ redis, keys, resultLifeSeconds }),
    rateLimiter: createRedisRateLimiter(redis, keys),
    registry: createRedisWorkerRegistry(redis, keys),
    async close() {
      await replies.close();
      await queue.close();
      redis.disconnect();
      backgroundRedis.disconnect();
      blobRedis.disconnect();
    },
  };
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
