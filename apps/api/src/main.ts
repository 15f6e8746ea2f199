import { once } from 'node:events';
import {
  closeOnSignal,
  connectForBackground,
  connectForRequests,
  createKeys,
  createLog,
  createRedisCheckQueue,
  createRedisImageStore,
  createRedisRateLimiter,
  createRedisReplyInbox,
  createRedisWorkerRegistry,
  type Log,
} from '@livegate/core';
import { v7 as uuidv7 } from 'uuid';
import { readApiConfig, type ApiConfig } from './config.js';
import { openCredentialBook } from './credentials/credential-book.js';
import { watchFleet } from './fleet.js';
import { closeHttpServer, createHttpServer } from './http-server.js';
import { createServer } from './server.js';
import { createSubmitCheck } from './submit-check.js';

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
  const submitCheck = createSubmitCheck(store);

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
    { ...store, credentials, fleet, submitCheck, log, isClosing: () => closing },
  );
  const server = createHttpServer(app, config.LIVEGATE_UPLOAD_TIMEOUT_MS);
  server.listen(config.PORT, config.LIVEGATE_HOST);
  await once(server, 'listening');
  log.info({ address: server.address() }, 'listening');

  closeOnSignal(
    [
      () => (closing = true),
      () => closeHttpServer(server),
      () => fleet.close(),
      () => credentials.close(),
      () => store.close(),
    ],
    config.LIVEGATE_WAIT_LIMIT_MS + 5000,
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

  const queue = createRedisCheckQueue(redis, keys);
  const replies = createRedisReplyInbox({
    redis: connectForBackground({ url: config.REDIS_URL, name: 'livegate-api-replies' }, log),
    keys,
    gatewayId: uuidv7(),
    log,
  });
  return {
    queue,
    replies,
    imageStore: createRedisImageStore({
      redis: blobRedis,
      keys,
      lifeSeconds: config.LIVEGATE_IMAGE_TTL_SECONDS,
    }),
    rateLimiter: createRedisRateLimiter(redis, keys),
    registry: createRedisWorkerRegistry(redis, keys),
    async close() {
      await replies.close();
      await queue.close();
      redis.disconnect();
      blobRedis.disconnect();
    },
  };
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
