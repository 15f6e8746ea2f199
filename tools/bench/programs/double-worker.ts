// A real worker with a fake engine: `double-worker.js MAX_BATCH RUN_MS ITEM_MS`. A batch takes RUN_MS plus
// ITEM_MS per image, in its own thread as on a GPU. Images are not read.
import { Worker } from 'node:worker_threads';
import { runUntilShutdown } from '@livegate/core/shutdown';
import { createLog } from '@livegate/core/telemetry';
import { readWorkerConfig } from '@livegate/worker/config';
import type { AssessedImage } from '@livegate/worker/inference/pipeline';
import { loadModels } from '@livegate/worker/models/load-models';
import { openWorker } from '@livegate/worker/open-worker';
import { createBatcher } from '@livegate/worker/scheduling/batcher';
import { planBatches } from '@livegate/worker/scheduling/model-set';
import type { ImageScheduler } from '@livegate/worker/scheduling/schedule-images';
import { typicalQuality } from '../typical-quality.js';

const [maxBatch = 1, runMs = 0, itemMs = 0] = process.argv.slice(2).map(Number);
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

function createDouble(): ImageScheduler {
  const engine = new Worker(new URL('./double-engine.js', import.meta.url));
  const layout = { engines: 1, intraOpThreads: 1, maxBatch };
  // The rules of an accelerator, without lingering: these queues always have a full batch.
  const rules = planBatches(layout, { lingerMs: 0, runAhead: true });
  const awaited: (() => void)[] = [];
  engine.on('message', () => awaited.shift()?.());
  const batcher = createBatcher(async (images: Uint8Array[]) => {
    const ms = runMs + itemMs * images.length;
    if (ms > 0) {
      engine.postMessage(ms, []);
      await new Promise<void>((resolve) => awaited.push(resolve));
    }
    return images.map(() => answer);
  }, rules);
  return {
    modelSets: () => ({ current: modelSet }),
    executionProvider: 'cpu',
    layout,
    concurrency: rules.capacity,
    assess: (image) => batcher.submit(image),
    isLarge: () => false,
    shadow: { offer: () => undefined, ended: () => undefined },
    use: async () => false,
    drain: batcher.drain,
    longestRunMs: () => 0,
    close: async () => void (await engine.terminate()),
  };
}
