// A real worker with fake engines: `double-worker.js MAX_BATCH RUN_MS ITEM_MS [ENGINES]`. A batch takes
// RUN_MS plus ITEM_MS per image, in a thread of its own. Images are not read.
import { runUntilShutdown } from '@livegate/core/shutdown';
import { createLog } from '@livegate/core/telemetry';
import { readWorkerConfig } from '@livegate/worker/config';
import type { AssessedImage } from '@livegate/worker/inference/pipeline';
import { loadModels } from '@livegate/worker/models/load-models';
import { openWorker } from '@livegate/worker/open-worker';
import { createBatcher, watchFlows } from '@livegate/worker/scheduling/batcher';
import { createRanksInWork } from '@livegate/worker/scheduling/by-rank';
import { planBatches } from '@livegate/worker/scheduling/model-set';
import type { ImageScheduler } from '@livegate/worker/scheduling/schedule-images';
import { typicalQuality } from '../typical-result.js';
import { openFakeEngine } from './open-fake-engine.js';

const [maxBatch = 1, runMs = 0, itemMs = 0, engineCount = 1] = process.argv.slice(2).map(Number);
const config = readWorkerConfig(process.env);
const { facts: modelSet } = await loadModels(config.LIVEGATE_MODELS_DIR);
const answer: AssessedImage = {
  assessment: {
    kind: 'scored',
    spoofProbability: 0.1,
    logit: 0,
    views: [],
    rotation: 0,
    quality: typicalQuality,
  },
  modelSet,
  timings: { decodeMs: 0, detectMs: 0, classifyMs: 0 },
};
const log = createLog('worker', config.LIVEGATE_LOG_LEVEL);

await runUntilShutdown(async (shutdown) => {
  shutdown.configure({ log, graceMs: 20_000 });
  const scheduler = createDouble();
  shutdown.add(scheduler.close);
  const worker = await openWorker(config, { scheduler, stopping: shutdown.signal, log });
  shutdown.add(worker.close);
  void worker.registered.then(() => log.info(worker.facts, 'ready'));
});

/** Several engines must not run in step, which those with pictures do not either. */
const vary = () => (engineCount === 1 ? 1 : 0.75 + Math.random() / 2);

function createDouble(): ImageScheduler {
  const engines = Array.from({ length: engineCount }, openFakeEngine);
  const layout = { engines: engineCount, intraOpThreads: 1, maxBatch };
  // One engine follows the rules of an accelerator, several those of CPU cores; without lingering.
  const rules = planBatches(layout, { lingerMs: 0, runAhead: engineCount === 1 });
  const flows = watchFlows();
  const ranks = createRanksInWork();
  const batcher = createBatcher(
    async (images: Uint8Array[]) => {
      const ms = (runMs + itemMs * images.length) * vary();
      const idlest = engines.reduce((a, b) => (b.runs() < a.runs() ? b : a));
      if (ms > 0) await idlest.run(ms);
      return images.map(() => answer);
    },
    { ...rules, areFlowsMixed: flows.areMixed },
  );
  return {
    modelSets: () => ({ current: modelSet }),
    executionProvider: 'cpu',
    layout,
    concurrency: rules.capacity,
    async assess(image, { share, beforeBatch } = {}) {
      flows.add(share?.flow);
      return ranks.during(share, async (rank) => {
        await beforeBatch?.();
        return await batcher.submit(image, rank);
      });
    },
    large: { megabytesOf: () => 0, maxMegabytes: 1 },
    shadow: { offer: () => undefined, ended: () => undefined },
    use: async () => false,
    drain: batcher.drain,
    longestRunMs: () => 0,
    close: async () => void (await Promise.all(engines.map(({ close }) => close()))),
  };
}
