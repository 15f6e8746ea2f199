import { setFlagsFromString } from 'node:v8';
import { inspectHeader, type ModelFacts } from '@livegate/core/domain';
import type { Log } from '@livegate/core/telemetry';
import { context, type Context } from '@opentelemetry/api';
import { countCpus, type EngineLayout } from '../engine/choose-layout.js';
import { EngineCrash } from '../engine/open-engine.js';
import { type Engines, type EnginesConfig, openEngines } from '../engine/open-engines.js';
import type { SupervisorDeps } from '../engine/supervise-engine.js';
import { createDecodeImage, isDecodedApart } from '../inference/decode/decode-image.js';
import { setUpLibvips } from '../inference/decode/decode-pixels.js';
import type { Picture } from '../inference/picture.js';
import { type AssessedImage, assessImage, type AssessImageDeps } from '../inference/pipeline.js';
import { loadModels } from '../models/load-models.js';
import {
  createObserveRuns,
  createObserveStages,
  type ObserveRuns,
} from '../telemetry/observe-runs.js';
import { type BatchRules, createBatcher } from './batcher.js';
import { createDecodeBudget } from './decode-budget.js';

export interface SchedulerConfig extends Omit<EnginesConfig, 'models'>, BatchSettings {
  /** A prepared folder: `manifest.json` and the files it names. */
  modelsDir: string;
  /** Largest accepted picture, width times height. */
  maxImagePixels: number;
}

export interface BatchSettings {
  /** How long a decoded image may wait for a fuller batch while an engine is idle. */
  lingerMs: number;
  /** Whether each engine has a full batch queued in its thread while it runs another. */
  runAhead: boolean;
  /** Images in work at once. Default: two full batches for each engine, three with `runAhead`. */
  concurrency?: number | undefined;
}

/** A decoded image, as it waits in the batcher. */
export interface QueuedImage {
  picture: Picture;
  /** The active trace of its check. */
  check: Context;
  /** `performance.now()` when it was decoded. */
  queuedAt: number;
}

export interface ImageScheduler {
  models: ModelFacts[];
  executionProvider: string;
  layout: EngineLayout;
  /** How many calls of `assess` may be pending at once. */
  concurrency: number;
  /**
   * Assesses a JPEG or PNG file, in one batch with other images. Rejects with the LivegateError of
   * an image that is refused. With `beforeAlone`, no other image is in work during this one, and
   * `beforeAlone` is awaited before the image is decoded.
   */
  assess(image: Uint8Array, beforeAlone?: () => Promise<void>): Promise<AssessedImage>;
  /** Whether it is decoded in a process of its own, for seconds. Throws as `assess` rejects. */
  isLarge(image: Uint8Array): boolean;
  /** From now on no image waits for a fuller batch. */
  drain(): void;
  /** Milliseconds since the start of the longest present run; 0 without a run. */
  longestRunMs(): number;
  close(): Promise<void>;
}

/**
 * Throws an Error when a model is missing or changed, or the execution provider is not available.
 */
export async function openScheduler(
  { modelsDir, maxImagePixels, ...config }: SchedulerConfig,
  { open = openEngines, ...deps }: SupervisorDeps & { open?: typeof openEngines },
): Promise<ImageScheduler> {
  setUpLibvips();
  limitFullCollections();
  const { facts, ...models } = await loadModels(modelsDir);
  const engines = await open({ ...config, models }, deps);
  const { layout } = engines;
  const runs = createObserveRuns(engines);
  const runImages = (queued: QueuedImage[]) => runBatch(queued, { engines, runs, ...deps });
  const rules = planBatches(layout, config);
  const batcher = createBatcher(runImages, rules);
  const budget = createDecodeBudget();
  const stages: AssessImageDeps = {
    decode: createTracedDecode(),
    assessInBatch: (picture) =>
      batcher.submit({ picture, check: context.active(), queuedAt: performance.now() }),
  };

  return {
    models: facts,
    executionProvider: config.executionProvider,
    layout,
    concurrency: rules.capacity,
    async assess(bytes, beforeAlone) {
      const header = inspectHeader(bytes, maxImagePixels);
      const run = () => assessImage({ bytes, header }, stages);
      if (beforeAlone) return await budget.runAlone(() => beforeAlone().then(run));
      try {
        return await budget.run(header, run);
      } catch (error) {
        if (!(error instanceof EngineCrash)) throw error;
        // This image may have crashed the engine: a second crash must not take other images with
        // it.
        return await budget.runAlone(run);
      }
    },
    isLarge: (bytes) => isDecodedApart(inspectHeader(bytes, maxImagePixels)),
    drain: batcher.drain,
    longestRunMs: engines.longestRunMs,
    close: engines.close,
  };
}

function createTracedDecode(): AssessImageDeps['decode'] {
  const stages = createObserveStages();
  const decode = createDecodeImage(countCpus());
  return (bytes, header) => stages.around('decode', () => decode(bytes, header));
}

/** How many images a batch may contain, and how many may wait and run at once. */
export function planBatches(
  { engines, maxBatch }: EngineLayout,
  { lingerMs, runAhead, concurrency }: BatchSettings,
): BatchRules {
  const maxAhead = runAhead ? engines : 0;
  const capacity = concurrency ?? (2 * engines + maxAhead) * maxBatch;
  return { maxBatch, maxRuns: engines, maxAhead, lingerMs, capacity };
}

async function runBatch(
  queued: QueuedImage[],
  { engines, runs, log }: { engines: Engines; runs: ObserveRuns; log: Log },
) {
  const pictures = queued.map(({ picture }) => picture);
  const { answers, broken } = await runs.around(queued, () => engines.assess(pictures));
  if (broken) log.warn({ err: broken, images: queued.length }, 'batch failed, retried per image');
  return answers;
}

/**
 * Lets the heap of this process grow to four times what survived the last full collection. V8 goes
 * as far by itself if it expects few collections.
 *
 * Pixels are outside the heap but count towards its limit. A worker's heap is small, so a full
 * collection followed every 12 to 24 selfies (`test/integration/count-full-collections.mjs` counts
 * them), although the quick collections free pixels as well.
 */
export function limitFullCollections(): void {
  setFlagsFromString('--heap-growing-percent=300');
}
