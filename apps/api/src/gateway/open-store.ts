import type { Leases } from '@livegate/core/domain';
import {
  connectForBackground,
  connectForBlocking,
  connectForRequests,
  createImageCipher,
  createImageHasher,
  createKeys,
  createRedisCheckQueue,
  createRedisCredentialUse,
  createRedisGatewayRegistry,
  createRedisIdempotencyKeys,
  createRedisImageStore,
  createRedisMonitoring,
  createRedisRateLimiter,
  createRedisReplyInbox,
  createRedisSessionStore,
  createRedisWorkerRegistry,
  type Keys,
  listServers,
  openImageKeys,
  readState,
  type Redis,
  REPLIES_BLOCK_MS,
} from '@livegate/core/redis';
import type { Log } from '@livegate/core/telemetry';
import { v7 as uuidv7 } from 'uuid';
import type { ApiConfig } from './config.js';
import type { StateReader } from '../telemetry/observe-gateway.js';

/** For the connection only: writing an image has its own timeout, which grows with the image. */
const IMAGE_WRITE_TIMEOUT_MS = 10_000;

/**
 * The checks of a silent gateway are canceled this long after the longest wait of a caller: by then its
 * callers have an answer, or have lost their connection.
 */
const GONE_AFTER_WAIT_MS = 5000;

/** The Redis adapters of the gateway, and their connections. */
export function openStore(config: ApiConfig, leases: Leases, log: Log) {
  const connections = connect(config, log);
  const { redis, imageRedis, imageWriteRedis, blockingRedis, backgroundRedis } = connections;
  const keys = createKeys(config.LIVEGATE_KEY_PREFIX);
  const resultTtlSeconds = config.LIVEGATE_RESULT_TTL_SECONDS;
  const imageKeysFile = config.LIVEGATE_IMAGE_KEYS_FILE;
  const imageKeys = imageKeysFile ? openImageKeys(imageKeysFile, log) : undefined;
  const queue = createRedisCheckQueue({ redis, keys, resultTtlSeconds });
  const gatewayId = uuidv7();
  const gateways = createRedisGatewayRegistry(redis, keys);
  const inbox = { redis, blockingRedis, keys, gatewayId, leases, log };
  const replies = createRedisReplyInbox(inbox);
  return {
    gatewayId,
    redis,
    backgroundRedis,
    keys,
    queue,
    replies,
    imageStore: createRedisImageStore({
      redis: imageRedis,
      writeRedis: imageWriteRedis,
      cipher: createImageCipher({ keys: imageKeys }),
      keys,
      ttlSeconds: config.LIVEGATE_IMAGE_TTL_SECONDS,
      timeoutMs: config.LIVEGATE_REDIS_TIMEOUT_MS,
    }),
    idempotencyKeys: createRedisIdempotencyKeys({ redis, keys, resultTtlSeconds }),
    imageHasher: createImageHasher(imageKeys),
    credentialUse: createRedisCredentialUse(redis, keys),
    rateLimiter: createRedisRateLimiter(redis, keys),
    sessions: createRedisSessionStore(redis, keys, imageKeys),
    registry: createRedisWorkerRegistry(redis, keys),
    renew: () => gateways.renew(gatewayId, config.LIVEGATE_WAIT_LIMIT_MS + GONE_AFTER_WAIT_MS),
    ...openMonitoring(config, redis, keys),
    stateReaders: listStateReaders(redis, imageRedis),
    servers: listServers(redis, imageRedis),
    async close() {
      imageKeys?.close();
      await replies.close();
      await queue.close();
      for (const connection of new Set(Object.values(connections))) connection.disconnect();
    },
  };
}

function openMonitoring(config: ApiConfig, redis: Redis, keys: Keys) {
  const monitoring = createRedisMonitoring(redis, keys);
  return {
    monitoring,
    noteAttempt: config.LIVEGATE_CONSOLE ? monitoring.noteAttempt : undefined,
  };
}

/** Images share the Redis and the connection of the queue unless BLOB_REDIS_URL is set. */
function listStateReaders(redis: Redis, imageRedis: Redis): StateReader[] {
  const queue: StateReader = { name: 'queue', read: () => readState(redis) };
  if (imageRedis === redis) return [queue];
  return [queue, { name: 'images', read: () => readState(imageRedis) }];
}

function connect(config: ApiConfig, log: Log) {
  const url = config.REDIS_URL;
  const imageUrl = config.BLOB_REDIS_URL;
  const timeoutMs = config.LIVEGATE_REDIS_TIMEOUT_MS;
  const redis = connectForRequests({ url, name: 'livegate-api' }, timeoutMs, log);
  const imageAddress = imageUrl && { url: imageUrl, name: 'livegate-api-images' };
  const imageWriteAddress = { url: imageUrl ?? url, name: 'livegate-api-image-writes' };
  const repliesAddress = { url, name: 'livegate-api-replies' };
  return {
    redis,
    /** For short image commands, which must not wait behind image bytes. */
    imageRedis: imageAddress ? connectForRequests(imageAddress, timeoutMs, log) : redis,
    imageWriteRedis: connectForRequests(imageWriteAddress, IMAGE_WRITE_TIMEOUT_MS, log),
    blockingRedis: connectForBlocking(repliesAddress, REPLIES_BLOCK_MS, log),
    backgroundRedis: connectForBackground({ url, name: 'livegate-api-webhooks' }, log),
  };
}
