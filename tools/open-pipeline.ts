import { createLog } from '@livegate/core/telemetry';
import { toRolloutSettings, toSchedulerConfig, type WorkerConfig } from '@livegate/worker/config';
import { readRollout, startingRollout } from '@livegate/worker/models/rollout';
import { openScheduler, type ImageScheduler } from '@livegate/worker/scheduling/schedule-images';

/**
 * Opens a worker's pipeline in this process, which exits if an engine cannot be replaced. It has the
 * current models of a worker, without its canary and shadow.
 */
export async function openPipeline(config: WorkerConfig): Promise<ImageScheduler> {
  const log = createLog('worker', 'warn');
  const file = await readRollout(config.LIVEGATE_MODELS_DIR);
  const { profile } = startingRollout(toRolloutSettings(config), file);
  const onLost = () => process.exit(1);
  return await openScheduler(toSchedulerConfig(config, { profile }), { log, onLost });
}
