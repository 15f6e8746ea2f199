import { createLog } from '@livegate/core/telemetry';
import { toPipelineConfig, type WorkerConfig } from '@livegate/worker/config';
import { createPipeline, type Pipeline } from '@livegate/worker/scheduling/schedule-images';

/** Opens a worker's pipeline in this process, which exits if an engine cannot be replaced. */
export async function openPipeline(config: WorkerConfig): Promise<Pipeline> {
  const log = createLog('worker', 'warn');
  return await createPipeline(toPipelineConfig(config), { log, onLost: () => process.exit(1) });
}
