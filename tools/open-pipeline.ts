import { createLog } from '@livegate/core/telemetry';
import { toPipelineConfig, type WorkerConfig } from '@livegate/worker/config';
import { createPipeline, type Pipeline } from '@livegate/worker/scheduling/schedule-images';

/** A worker's pipeline in this process, which ends if an engine is lost for good. */
export async function openPipeline(config: WorkerConfig): Promise<Pipeline> {
  const log = createLog('worker', 'warn');
  return await createPipeline(toPipelineConfig(config), { log, onLost: () => process.exit(1) });
}
