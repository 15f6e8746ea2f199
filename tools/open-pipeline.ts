import { createLog } from '@livegate/core/telemetry';
import { toSchedulerConfig, type WorkerConfig } from '@livegate/worker/config';
import { openScheduler, type ImageScheduler } from '@livegate/worker/scheduling/schedule-images';

/** Opens a worker's pipeline in this process, which exits if an engine cannot be replaced. */
export async function openPipeline(config: WorkerConfig): Promise<ImageScheduler> {
  const log = createLog('worker', 'warn');
  return await openScheduler(toSchedulerConfig(config), { log, onLost: () => process.exit(1) });
}
