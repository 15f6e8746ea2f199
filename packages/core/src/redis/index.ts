export {
  openRedisAuditSink,
  readAuditStream,
  readLatestAuditLine,
  type StreamedLine,
  replaceStreamedLine,
} from './audit-stream.js';
export { createRedisCancellations } from './checks/cancellations.js';
export { createRedisDemands } from './checks/demands.js';
export {
  type BullQueue,
  createRedisCheckQueue,
  type ReadBacklog,
  type RedisCheckQueue,
} from './checks/check-queue.js';
export {
  connectForBackground,
  connectForBlocking,
  connectForRequests,
  type Redis,
} from './connection/connect.js';
export {
  listServers,
  readState,
  type RedisState,
  type RedisSettings,
  type WatchedRedis,
  watchSettings,
} from './connection/server-state.js';
export { createRedisIdempotencyKeys } from './idempotency-keys.js';
export { createImageCipher } from './images/image-cipher.js';
export { createImageHasher, type ImageKeys, openImageKeys } from './images/image-keys.js';
export { createRedisImageStore } from './images/image-store.js';
export { createKeys, type Keys } from './keys.js';
export { createRedisCredentialUse, type CredentialUse } from './callers/credential-use.js';
export { createRedisRateLimiter } from './callers/rate-limiter.js';
export {
  createRedisReplyInbox,
  createRedisReplyOutbox,
  REPLIES_BLOCK_MS,
} from './checks/replies.js';
export { readResult, type StoredResult, writeResult } from './checks/stored-outcome.js';
export { createRedisSessionStore } from './sessions.js';
export { createRedisGatewayRegistry } from './processes/gateway-registry.js';
export { createRedisWebhookQueue } from './webhooks/webhook-queue.js';
export { createRedisWebhookStore } from './webhooks/webhook-store.js';
export { createRedisMonitoring } from './processes/monitoring.js';
export { createRedisWorkerRegistry } from './processes/worker-registry.js';
