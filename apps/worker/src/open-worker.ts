import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { READABLE_JOB_VERSIONS } from '@livegate/core/domain';
import {
  connectForBackground,
  createKeys,
  createRedisCancellations,
  createRedisImageStore,
  createRedisReplyOutbox,
  createRedisWebhookQueue,
  createRedisWorkerRegistry,
  listServers,
  watchSettings,
} from '@livegate/core/redis';
import { untilAborted } from '@livegate/core/runtime';
import type { Log } from '@livegate/core/telemetry';
import type { WorkerConfig } from './config.js';
import { createCheckImage } from './jobs/check-image.js';
import { finishCheck } from './jobs/finish-check.js';
import { startHeartbeat } from './jobs/heartbeat.js';
import { takeJobs } from './jobs/take-jobs.js';
import type { Pipeline } from './scheduling/schedule-images.js';

/** Why a worker is not ready that has not reached Redis. */
export const OUT_OF_REACH = 'Redis has not been reached';

export interface OpenWorkerDeps {
  pipeline: Pipeline;
  /** Ends the wait for a Redis that is away. */
  stopping: AbortSignal;
  log: Log;
}

/** Takes checks from the queue to the pipeline until it is closed; the pipeline stays open. */
export async function openWorker(
  config: WorkerConfig,
  { pipeline, stopping, log }: OpenWorkerDeps,
) {
  const store = await openStore(config, stopping, log);
  const cutPoints = { moderate: config.LIVEGATE_MODERATE_FROM, high: config.LIVEGATE_HIGH_FROM };
  const jobs = takeJobs(
    {
      ...store,
      concurrency: pipeline.concurrency,
      jobVersions: READABLE_JOB_VERSIONS,
      imageLifeSeconds: config.LIVEGATE_IMAGE_TTL_SECONDS,
      resultLifeSeconds: config.LIVEGATE_RESULT_TTL_SECONDS,
      log,
    },
    {
      checkImage: createCheckImage({ ...store, pipeline, cutPoints }),
      announce: store.announce,
      finish: (ended) => finishCheck(ended, { ...store, log }),
      forget: store.cancellations.forget,
    },
  );

  const { models, executionProvider, layout, concurrency } = pipeline;
  const facts = {
    id: createWorkerId(),
    jobVersions: READABLE_JOB_VERSIONS,
    models,
    executionProvider,
    cutPoints,
  };
  const heartbeat = startHeartbeat(store.registry, facts, log);
  return {
    /** For the log. */
    facts: { ...facts, layout, concurrency },
    /** Settles when the gateways can know that it takes jobs. */
    heard: heartbeat.first,
    /** Why checks do not get here, or may be lost on the way. */
    findProblem: () => (heartbeat.isHeard() ? store.settings.findProblem() : OUT_OF_REACH),
    async close() {
      await heartbeat.close();
      pipeline.drain();
      await jobs.close();
      await store.close();
    },
  };
}

/** Resolves once Redis was reached and found to keep what it is given: before any check is taken. */
async function openStore(config: WorkerConfig, stopping: AbortSignal, log: Log) {
  const store = connectStore(config, log);
  const production = config.NODE_ENV === 'production';
  const settings = watchSettings({ ...store, production, waitMs: 0, log });
  const close = async () => {
    settings.close();
    await store.close();
  };
  try {
    await untilAborted(stopping, settings.firstRead);
    return { ...store, settings, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Everything the worker shares with the gateways, and the connections to it. They wait for Redis. */
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
    servers: listServers(redis, blobRedis),
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
