import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import {
  closeOnSignal,
  connectForBackground,
  createKeys,
  createLog,
  createRedisCancellations,
  createRedisImageStore,
  createRedisReplyOutbox,
  createRedisWebhookQueue,
  createRedisWorkerRegistry,
  type Log,
} from '@livegate/core';
import { createBatcher } from './batcher.js';
import { createCheckBatch } from './check-batch.js';
import { readWorkerConfig, toPipelineConfig, type WorkerConfig } from './config.js';
import { finishCheck } from './finish-check.js';
import { startHeartbeat } from './heartbeat.js';
import { createPipeline } from './pipeline.js';
import { takeJobs } from './take-jobs.js';

/** Long enough for the batch that runs and the one that waits, with 12 MP photos on a slow core. */
const SHUTDOWN_GRACE_MS = 20_000;

async function main(): Promise<void> {
  const config = readWorkerConfig(process.env);
  const log = createLog('worker', config.LIVEGATE_LOG_LEVEL);
  const cutPoints = { moderate: config.LIVEGATE_MODERATE_FROM, high: config.LIVEGATE_HIGH_FROM };

  // Models first: a worker that cannot check images must not take any.
  const pipeline = await createPipeline(toPipelineConfig(config));
  const store = connectStore(config, log);

  const checkBatch = createCheckBatch({ ...store, pipeline, cutPoints });
  const jobs = takeJobs(
    {
      ...store,
      // Twice the batch, so that the next batch is at hand when the running one ends.
      concurrency: 2 * config.LIVEGATE_MAX_BATCH,
      resultLifeSeconds: config.LIVEGATE_RESULT_TTL_SECONDS,
      log,
    },
    {
      batcher: createBatcher(checkBatch, {
        maxBatch: config.LIVEGATE_MAX_BATCH,
        isSuspect: ({ beforeRun }) => beforeRun !== undefined,
      }),
      announce: store.announce,
      finish: (ended) => finishCheck(ended, { ...store, log }),
    },
  );

  const { models, executionProvider } = pipeline;
  const facts = { id: createWorkerId(), models, executionProvider, cutPoints };
  const heartbeat = await startHeartbeat(store.registry, facts, log);
  log.info(facts, 'ready');

  closeOnSignal([heartbeat.close, jobs.close, pipeline.close, store.close], SHUTDOWN_GRACE_MS, log);
}

/** Everything the worker shares with the gateways, and the connections to it. */
function connectStore(config: WorkerConfig, log: Log) {
  const keys = createKeys(config.LIVEGATE_KEY_PREFIX);
  const redis = connectForBackground({ url: config.REDIS_URL, name: 'livegate-worker' }, log);
  const blobRedis = config.BLOB_REDIS_URL
    ? connectForBackground({ url: config.BLOB_REDIS_URL, name: 'livegate-worker-blobs' }, log)
    : redis;
  const webhooks = createRedisWebhookQueue(redis, keys);
  return {
    redis,
    keys,
    imageStore: createRedisImageStore({
      redis: blobRedis,
      keys,
      lifeSeconds: config.LIVEGATE_IMAGE_TTL_SECONDS,
    }),
    cancellations: createRedisCancellations(redis, keys),
    replies: createRedisReplyOutbox(redis, keys),
    announce: webhooks.announce,
    registry: createRedisWorkerRegistry(redis, keys),
    async close() {
      await webhooks.close();
      redis.disconnect();
      blobRedis.disconnect();
    },
  };
}

function createWorkerId(): string {
  return `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
