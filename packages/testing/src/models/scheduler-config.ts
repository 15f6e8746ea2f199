import type { SchedulerConfig } from '@livegate/worker/scheduling/schedule-images';
import { preparedModels } from './prepared-models.js';

/** One engine on the CPU with batches of one image. Nothing is `auto`, so that nothing is measured. */
export const schedulerConfig: SchedulerConfig = {
  modelsDir: await preparedModels(),
  rollout: { profile: 'default' },
  tuning: { cutPoints: { level: 'regular' } },
  maxImagePixels: 52_000_000,
  faceScoreThreshold: 0.9,
  minFaceRatio: 0.25,
  executionProvider: 'cpu',
  devices: 1,
  layout: { engines: 1, intraOpThreads: 1, maxBatch: 1 },
  lingerMs: 0,
  runAhead: false,
};
