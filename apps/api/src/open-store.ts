import {
  connectForBackground,
  connectForBlocking,
  connectForRequests,
  createKeys,
  createRedisCheckQueue,
  createRedisIdempotencyKeys,
  createRedisImageStore,
  createRedisRateLimiter,
  createRedisReplyInbox,
  createRedisWorkerRegistry,
  readMemory,
  REPLIES_BLOCK_MS,
  type Leases,
  type Log,
  type Redis,
  type RedisMemory,
} from '@livegate/core';
import { v7 as uuidv7 } from 'uuid';
import type { ApiConfig } from './config.js';

/** A write of an image has a limit of its own, by its size; this one is for the connection. */
const BLOB_TIMEOUT_MS = 10_000;

/** Everything the gateway keeps in Redis, and the connections to it. */
export function openStore(config: ApiConfig, leases: Leases, log: Log) {
  const url = config.REDIS_URL;
  const timeoutMs = config.LIVEGATE_REDIS_TIMEOUT_MS;
  const redis = connectForRequests({ url, name: 'livegate-api' }, timeoutMs, log);
  const blobAddress = { url: config.BLOB_REDIS_URL ?? url, name: 'livegate-api-blobs' };
  const blobRedis = connectForRequests(blobAddress, BLOB_TIMEOUT_MS, log);
  const repliesAddress = { url, name: 'livegate-api-replies' };
  const blockingRedis = connectForBlocking(repliesAddress, REPLIES_BLOCK_MS, log);
  const backgroundRedis = connectForBackground({ url, name: 'livegate-api-webhooks' }, log);

  const keys = createKeys(config.LIVEGATE_KEY_PREFIX);
  const resultLifeSeconds = config.LIVEGATE_RESULT_TTL_SECONDS;
  const lifeSeconds = config.LIVEGATE_IMAGE_TTL_SECONDS;
  const queue = createRedisCheckQueue({ redis, keys, resultLifeSeconds });
  const replies = createRedisReplyInbox({
    redis,
    blockingRedis,
    keys,
    gatewayId: uuidv7(),
    leases,
    log,
  });
  return {
    redis,
    backgroundRedis,
    keys,
    queue,
    replies,
    imageStore: createRedisImageStore({ redis: blobRedis, keys, lifeSeconds, timeoutMs }),
    idempotencyKeys: createRedisIdempotencyKeys({ redis, keys, resultLifeSeconds }),
    rateLimiter: createRedisRateLimiter(redis, keys),
    registry: createRedisWorkerRegistry(redis, keys),
    memoryReaders: listMemoryReaders(redis, config.BLOB_REDIS_URL ? blobRedis : undefined),
    async close() {
      await replies.close();
      await queue.close();
      for (const connection of [redis, blobRedis, backgroundRedis]) connection.disconnect();
    },
  };
}

/** How full a Redis is; by what it is for. */
export interface MemoryReader {
  name: 'queue' | 'images';
  read(): Promise<RedisMemory>;
}

function listMemoryReaders(redis: Redis, imageRedis: Redis | undefined): MemoryReader[] {
  const queue: MemoryReader = { name: 'queue', read: () => readMemory(redis) };
  if (!imageRedis) return [queue];
  return [queue, { name: 'images', read: () => readMemory(imageRedis) }];
}
