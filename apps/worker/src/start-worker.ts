import type { Shutdown } from '@livegate/core/shutdown';
import { createLog, type Log, startTelemetry } from '@livegate/core/telemetry';
import {
  readWorkerConfig,
  SHUTDOWN_GRACE_MS,
  toRolloutSettings,
  toSchedulerConfig,
  type WorkerConfig,
} from './config.js';
import { type HealthDeps, NOT_REGISTERED, serveHealth } from './health.js';
import { followRollout } from './models/follow-rollout.js';
import { readRollout, type Rollout, startingRollout } from './models/rollout.js';
import type { openWorker } from './open-worker.js';
import { openScheduler, type ImageScheduler } from './scheduling/schedule-images.js';

/** Serves the health probes at once, loads the models, then takes checks. */
export async function startWorker(env: NodeJS.ProcessEnv, shutdown: Shutdown): Promise<void> {
  const config = readWorkerConfig(env);
  const log = createLog('worker', config.LIVEGATE_LOG_LEVEL);
  shutdown.configure({ log, graceMs: SHUTDOWN_GRACE_MS });
  // Before any instrument is created.
  const publishesSamples = config.LIVEGATE_CONSOLE;
  const telemetry = await startTelemetry({
    service: 'livegate-worker',
    env,
    publishesSamples,
    log,
  });
  shutdown.add(() => telemetry.close());

  let scheduler: ImageScheduler | undefined;
  let problem: () => string | undefined = () => 'the models are being loaded';
  await openHealth(config, shutdown, {
    longestRunMs: () => scheduler?.longestRunMs() ?? 0,
    findProblem: () => (shutdown.signal.aborted ? 'this worker is stopping' : problem()),
  });
  // Models first: a worker without models must not take jobs. A worker that cannot replace an
  // engine exits, and BullMQ requeues its jobs.
  const onLost = () => process.exit(1);
  const file = await readRollout(config.LIVEGATE_MODELS_DIR);
  const rollout = startingRollout(toRolloutSettings(config), file);
  const opening = openScheduler(toSchedulerConfig(config, rollout), { log, onLost });
  // This thread loads BullMQ while the engines open in theirs.
  const loading = import('./open-worker.js');
  scheduler = await opening;
  shutdown.add(scheduler.close);
  const { openWorker } = await loading;
  problem = () => NOT_REGISTERED;
  const { measure } = telemetry;
  const worker = await openWorker(config, { scheduler, measure, stopping: shutdown.signal, log });
  shutdown.add(worker.close);
  problem = worker.findProblem;
  shutdown.add(followModels(config, { scheduler, worker, file, log }));
  // Not awaited: it waits for Redis, and the shutdown waits for the start.
  void reportReady(worker, shutdown.signal, log);
}

interface FollowDeps {
  scheduler: ImageScheduler;
  worker: OpenWorker;
  /** The rollout file that the worker started with. */
  file: Rollout | undefined;
  log: Log;
}

/** Swaps the models when the rollout file changes or at SIGHUP, until the returned closer runs. */
function followModels(config: WorkerConfig, { scheduler, worker, file, log }: FollowDeps) {
  const settings = toRolloutSettings(config);
  const options = { modelsDir: config.LIVEGATE_MODELS_DIR, settings, file, log };
  const follower = followRollout(options, async (rollout) => {
    const hasSwapped = await scheduler.use(rollout);
    if (hasSwapped) await worker.register();
    return hasSwapped;
  });
  const onHangup = () => void follower.reload('SIGHUP');
  process.on('SIGHUP', onHangup);
  return () => {
    process.off('SIGHUP', onHangup);
    follower.close();
  };
}

type OpenWorker = Awaited<ReturnType<typeof openWorker>>;

async function reportReady(
  { registered, facts }: OpenWorker,
  stopping: AbortSignal,
  log: Log,
): Promise<void> {
  await registered;
  if (!stopping.aborted) log.info(facts, 'ready');
}

async function openHealth(config: WorkerConfig, shutdown: Shutdown, deps: HealthDeps) {
  const { LIVEGATE_HOST: host, LIVEGATE_WORKER_HEALTH_PORT: port } = config;
  if (port === undefined) return;
  const health = await serveHealth({ host, port }, deps);
  shutdown.add(health.close);
}
