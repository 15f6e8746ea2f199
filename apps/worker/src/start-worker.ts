import type { Shutdown } from '@livegate/core/shutdown';
import { createLog, type Log, startTelemetry } from '@livegate/core/telemetry';
import {
  readWorkerConfig,
  SHUTDOWN_GRACE_MS,
  toPipelineConfig,
  type WorkerConfig,
} from './config.js';
import { type HealthDeps, serveHealth } from './health.js';
import { openWorker, OUT_OF_REACH } from './open-worker.js';
import { createPipeline, type Pipeline } from './scheduling/schedule-images.js';

/** Answers the probes at once, loads the models, then takes checks. */
export async function startWorker(env: NodeJS.ProcessEnv, shutdown: Shutdown): Promise<void> {
  const config = readWorkerConfig(env);
  const log = createLog('worker', config.LIVEGATE_LOG_LEVEL);
  shutdown.configure({ log, graceMs: SHUTDOWN_GRACE_MS });
  // Before everything that records something.
  const telemetry = await startTelemetry({ service: 'livegate-worker', env, log });
  shutdown.add(() => telemetry.close());

  let pipeline: Pipeline | undefined;
  let problem: () => string | undefined = () => 'the models are being loaded';
  await openHealth(config, shutdown, {
    longestRunMs: () => pipeline?.longestRunMs() ?? 0,
    findProblem: () => (shutdown.signal.aborted ? 'this worker is stopping' : problem()),
  });
  // Models first: a worker that cannot check images must not take any. One that has lost an engine
  // for good ends, and others take over what it held.
  const onLost = () => process.exit(1);
  pipeline = await createPipeline(toPipelineConfig(config), { log, onLost });
  shutdown.add(pipeline.close);
  problem = () => OUT_OF_REACH;
  const worker = await openWorker(config, { pipeline, stopping: shutdown.signal, log });
  shutdown.add(worker.close);
  problem = worker.findProblem;
  // Not awaited: while Redis is away it takes long, and stopping waits for the start.
  void reportReady(worker, shutdown.signal, log);
}

async function reportReady(
  { heard, facts }: Awaited<ReturnType<typeof openWorker>>,
  stopping: AbortSignal,
  log: Log,
): Promise<void> {
  await heard;
  if (!stopping.aborted) log.info(facts, 'ready');
}

async function openHealth(config: WorkerConfig, shutdown: Shutdown, deps: HealthDeps) {
  const { LIVEGATE_HOST: host, LIVEGATE_WORKER_HEALTH_PORT: port } = config;
  if (port === undefined) return;
  const health = await serveHealth({ host, port }, deps);
  shutdown.add(health.close);
}
