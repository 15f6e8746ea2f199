import { closeOnSignal, createLog, startTelemetry } from '@livegate/core';
import {
  readWorkerConfig,
  SHUTDOWN_GRACE_MS,
  toPipelineConfig,
  type WorkerConfig,
} from './config.js';
import { serveHealth, type HealthDeps } from './health.js';
import { openWorker } from './open-worker.js';
import { createPipeline } from './pipeline.js';

async function main(): Promise<void> {
  const config = readWorkerConfig(process.env);
  const log = createLog('worker', config.LIVEGATE_LOG_LEVEL);
  // Before everything that records something.
  const telemetry = await startTelemetry({ service: 'livegate-worker', env: process.env, log });
  // Models first: a worker that cannot check images must not take any. One that has lost an engine
  // for good ends, and others take over what it held.
  const onLost = () => process.exit(1);
  const pipeline = await createPipeline(toPipelineConfig(config), { log, onLost });
  const worker = await openWorker(config, pipeline, log);
  const health = await openHealth(config, { ...pipeline, ...worker });
  const closers = [...worker.closers, () => health?.close(), () => telemetry.close()];
  closeOnSignal(closers, SHUTDOWN_GRACE_MS, log);
}

async function openHealth(config: WorkerConfig, deps: HealthDeps) {
  const port = config.LIVEGATE_WORKER_HEALTH_PORT;
  return port === undefined
    ? undefined
    : await serveHealth({ host: config.LIVEGATE_HOST, port }, deps);
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
