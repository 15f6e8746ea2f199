import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import {
  createTallies,
  READABLE_JOB_VERSIONS,
  WORK_OF_ENGINE_SECOND,
  type WorkerFacts,
} from '@livegate/core/domain';
import type { Monitoring } from '@livegate/core/ports';
import {
  connectForBackground,
  createImageCipher,
  createKeys,
  createRedisCancellations,
  createRedisDemands,
  createRedisImageStore,
  createRedisMonitoring,
  createRedisReplyOutbox,
  createRedisWebhookQueue,
  createRedisWorkerRegistry,
  listServers,
  openImageKeys,
  watchSettings,
} from '@livegate/core/redis';
import { untilAborted } from '@livegate/core/runtime';
import {
  createNoteFailure,
  type Log,
  startPublishing,
  type Telemetry,
} from '@livegate/core/telemetry';
import type { WorkerConfig } from './config.js';
import { type Audit, openAudit } from './jobs/audit/open-audit.js';
import { createCheckImage } from './jobs/check-image.js';
import { type EndedCheck, finishCheck } from './jobs/finish-check.js';
import { startHeartbeat } from './jobs/registration/heartbeat.js';
import { createSpeedMeter, type SpeedMeter } from './jobs/registration/speed-meter.js';
import { takeJobs } from './jobs/take-jobs.js';
import { NOT_REGISTERED } from './health.js';
import type { ImageScheduler } from './scheduling/schedule-images.js';

export interface OpenWorkerDeps {
  scheduler: ImageScheduler;
  /** Reads the metrics of this process; without it, the operators' console learns nothing. */
  measure?: Telemetry['measure'];
  /** Aborts the wait for an unreachable Redis. */
  stopping: AbortSignal;
  log: Log;
}

/** Takes checks from the queue until it is closed. The caller closes the scheduler. */
export async function openWorker(
  config: WorkerConfig,
  { scheduler, measure, stopping, log }: OpenWorkerDeps,
) {
  const { layout, concurrency } = scheduler;
  const id = createWorkerId();
  const { engines, intraOpThreads } = layout;
  const speed = createSpeedMeter({
    concurrency,
    workPerSecond: engines * intraOpThreads * WORK_OF_ENGINE_SECOND,
  });
  const readFacts = createReadFacts(id, { scheduler, speed });
  const store = await openStore(config, stopping, log);
  const audit = await openAudit(config, {
    ...store,
    worker: id,
    currentSet: () => scheduler.modelSets().current,
    log,
  }).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const monitor = openMonitor({ id, layout, measure, log }, store.monitoring);
  const { report } = monitor;
  const jobs = takeChecks(config, { ...store, scheduler, speed, audit, report, log });
  const heartbeat = startHeartbeat(store.registry, readFacts, log);
  return {
    /** Logged when the worker is ready. */
    facts: { ...readFacts(), layout, concurrency },
    /** Registers at once with the present models, because they have changed. */
    register: heartbeat.register,
    /** Settles when the first registration has succeeded or failed. */
    registered: heartbeat.first,
    /** Why this worker receives no checks, or why a check may be lost or fail. */
    findProblem: () =>
      heartbeat.isRegistered()
        ? (store.settings.findProblem() ?? audit.findProblem())
        : NOT_REGISTERED,
    async close() {
      await heartbeat.close();
      scheduler.drain();
      await jobs.close();
      await monitor.close();
      await audit.close();
      await store.close();
    },
  };
}

interface CheckDeps extends Awaited<ReturnType<typeof openStore>> {
  scheduler: ImageScheduler;
  speed: SpeedMeter;
  audit: Audit;
  report(ended: EndedCheck): void;
  log: Log;
}

function takeChecks(config: WorkerConfig, deps: CheckDeps) {
  const { scheduler, speed, announce, cancellations } = deps;
  const checkImage = createCheckImage(deps);
  return takeJobs(
    {
      ...deps,
      concurrency: scheduler.concurrency,
      jobVersions: READABLE_JOB_VERSIONS,
      imageTtlSeconds: config.LIVEGATE_IMAGE_TTL_SECONDS,
      resultTtlSeconds: config.LIVEGATE_RESULT_TTL_SECONDS,
    },
    {
      checkImage: ({ share, ...check }) => {
        // The job tells its work: milliseconds of an engine at the assumed speed.
        const ms = (1000 * check.work) / speed.workPerSecond();
        return speed.around(check.work, () => checkImage({ ...check, share: { ...share, ms } }));
      },
      announce,
      async finish(ended) {
        deps.report(ended);
        const outcome = await finishCheck(ended, deps);
        scheduler.shadow.ended(ended.id, outcome);
        return outcome;
      },
      forget: cancellations.forget,
    },
  );
}

interface MonitorOptions extends Pick<OpenWorkerDeps, 'measure' | 'log'> {
  id: string;
  layout: ImageScheduler['layout'];
}

/** What this worker tells the operators' console. */
function openMonitor({ measure, log, ...worker }: MonitorOptions, monitoring: Monitoring) {
  if (!measure) return { report: () => undefined, close: async () => undefined };
  const tallies = createTallies();
  const noteFailure = createNoteFailure(monitoring, log);
  const { id: process, layout } = worker;
  const describe = () => ({ process, kind: 'worker' as const, layout: { ...layout } });
  const publishing = startPublishing({ monitoring, describe, measure, tallies, log });
  return {
    report({ id, job, outcome }: EndedCheck) {
      if ('result' in outcome) tallies.count(job.tenant, outcome.result);
      else if (outcome.error !== 'canceled')
        noteFailure({ code: outcome.error, id, isCheck: true });
    },
    close: publishing.close,
  };
}

/** The worker's registration, with the models that it uses at the time of the call. */
function createReadFacts(
  id: string,
  { scheduler, speed }: Pick<CheckDeps, 'scheduler' | 'speed'>,
): () => WorkerFacts {
  const { executionProvider, modelSets } = scheduler;
  return () => {
    const { current, canary } = modelSets();
    const fixed = { id, jobVersions: READABLE_JOB_VERSIONS, executionProvider };
    const workPerSecond = speed.workPerSecond();
    return { ...fixed, workPerSecond, ...current, ...(canary && { canary }) };
  };
}

/** Connects, and waits until Redis answers and its settings are safe, before a check is taken. */
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

/** The adapters that the worker shares with the gateways. Their commands wait for Redis. */
function connectStore(config: WorkerConfig, log: Log) {
  const keys = createKeys(config.LIVEGATE_KEY_PREFIX);
  const redis = connectForBackground({ url: config.REDIS_URL, name: 'livegate-worker' }, log);
  const imageRedis = config.BLOB_REDIS_URL
    ? connectForBackground({ url: config.BLOB_REDIS_URL, name: 'livegate-worker-images' }, log)
    : redis;
  const imageKeysFile = config.LIVEGATE_IMAGE_KEYS_FILE;
  const imageKeys = imageKeysFile ? openImageKeys(imageKeysFile, log) : undefined;
  const webhooks = createRedisWebhookQueue(redis, keys);
  const resultTtlSeconds = config.LIVEGATE_RESULT_TTL_SECONDS;
  return {
    redis,
    keys,
    imageStore: createRedisImageStore({
      redis: imageRedis,
      cipher: createImageCipher({
        keys: imageKeys,
        requireEncrypted: config.LIVEGATE_REQUIRE_ENCRYPTED_IMAGES,
      }),
      keys,
      ttlSeconds: config.LIVEGATE_IMAGE_TTL_SECONDS,
    }),
    cancellations: createRedisCancellations({ redis, keys, resultTtlSeconds }),
    demands: createRedisDemands(redis, keys),
    replies: createRedisReplyOutbox({ redis, keys, resultTtlSeconds }),
    announce: webhooks.announce,
    registry: createRedisWorkerRegistry(redis, keys),
    monitoring: createRedisMonitoring(redis, keys),
    servers: listServers(redis, imageRedis),
    async close() {
      imageKeys?.close();
      await webhooks.close();
      redis.disconnect();
      imageRedis.disconnect();
    },
  };
}

function createWorkerId(): string {
  return `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
}
