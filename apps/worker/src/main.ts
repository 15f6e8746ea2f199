import { closeOnSignal, createLog } from '@livegate/core';
import { readWorkerConfig, toPipelineConfig } from './config.js';
import { openWorker } from './open-worker.js';
import { createPipeline } from './pipeline.js';

/** Long enough for the images in work, 12 MP photos on a slow core. */
const SHUTDOWN_GRACE_MS = 20_000;

async function main(): Promise<void> {
  const config = readWorkerConfig(process.env);
  const log = createLog('worker', config.LIVEGATE_LOG_LEVEL);
  // Models first: a worker that cannot check images must not take any. One that has lost an engine
  // for good ends, and others take over what it held.
  const onLost = () => process.exit(1);
  const pipeline = await createPipeline(toPipelineConfig(config), { log, onLost });
  const worker = await openWorker(config, pipeline, log);
  closeOnSignal(worker.closers, SHUTDOWN_GRACE_MS, log);
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
