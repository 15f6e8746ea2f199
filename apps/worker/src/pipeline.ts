import {
  inspectHeader,
  type Assessment,
  type ImageHeader,
  type Log,
  type ModelFacts,
} from '@livegate/core';
import { createBatcher, type BatchRules } from './batcher.js';
import { collectLessOften } from './collect-less-often.js';
import { createDecodeRoom } from './decode-room.js';
import type { EngineLayout } from './engine/choose-layout.js';
import type { KeepEngineDeps } from './engine/keep-engine.js';
import { EngineCrash } from './engine/open-engine.js';
import { openEngines, type Engines, type EnginesConfig } from './engine/open-engines.js';
import { loadModels } from './load-models.js';
import { createDecodeImage } from './stages/decode-image.js';
import { setUpLibvips } from './stages/decode-pixels.js';
import { createObserveRuns, type ObserveRuns, type QueuedImage } from './telemetry/observe-runs.js';
import { createObserveStages } from './telemetry/observe-stages.js';

export interface PipelineConfig extends Omit<EnginesConfig, 'models'>, BatchWishes {
  /** A prepared folder: `manifest.json` and the files it names. */
  modelsDir: string;
  /** Largest accepted picture, width times height. */
  maxImagePixels: number;
}

export interface BatchWishes {
  /** How long a decoded image may wait for company while an engine is idle. */
  lingerMs: number;
  /** Whether each engine has a full batch waiting in its thread while it runs another. */
  runAhead: boolean;
  /** Images in work at once; if not given, what engines hold and as much decoded as they can run. */
  concurrency?: number | undefined;
}

export interface AssessedImage {
  assessment: Assessment;
  /** `detectMs` and `classifyMs` are those of the whole run: each of its images waited for them. */
  timings: { decodeMs: number; detectMs: number; classifyMs: number };
}

export interface Pipeline {
  models: ModelFacts[];
  executionProvider: string;
  layout: EngineLayout;
  /** Most images that `assess` may be busy with. */
  concurrency: number;
  /**
   * Assesses a JPEG or PNG file, in one run with whatever else is there. Rejects with the
   * LivegateError of an image that is refused. With `alone`, nothing else is in work beside this
   * image, and `alone` has been called and awaited before anything touches it.
   */
  assess(image: Uint8Array, alone?: () => Promise<void>): Promise<AssessedImage>;
  /** From now on no image waits for company. */
  drain(): void;
  /** How long the longest of the present runs has been going; 0 where none is. */
  longestRunMs(): number;
  close(): Promise<void>;
}

/** Throws an Error when a model is missing or changed, or the execution provider is not there. */
export async function createPipeline(
  { modelsDir, maxImagePixels, ...config }: PipelineConfig,
  { open = openEngines, ...deps }: KeepEngineDeps & { open?: typeof openEngines },
): Promise<Pipeline> {
  setUpLibvips();
  collectLessOften();
  const { facts, ...models } = await loadModels(modelsDir);
  const engines = await open({ ...config, models }, deps);
  const { layout } = engines;
  const stages = createObserveStages();
  const decodeImage = createDecodeImage();
  const runs = createObserveRuns(engines);
  const run = (queued: QueuedImage[]) => runBatch(queued, { engines, runs, ...deps });
  const rules = planBatches(layout, config);
  const batcher = createBatcher(run, rules);
  const room = createDecodeRoom();

  return {
    models: facts,
    executionProvider: config.executionProvider,
    layout,
    concurrency: rules.capacity,
    async assess(image, alone) {
      const header = inspectHeader(image, maxImagePixels);
      const take = () => assess(image, header);
      if (alone) return await room.runAlone(() => alone().then(take));
      try {
        return await room.run(header, take);
      } catch (error) {
        if (!(error instanceof EngineCrash)) throw error;
        // It may be what killed the engine: nobody else is to be there when it does so again.
        return await room.runAlone(take);
      }
    },
    drain: batcher.drain,
    longestRunMs: engines.longestRunMs,
    close: engines.close,
  };

  async function assess(bytes: Uint8Array, header: ImageHeader): Promise<AssessedImage> {
    const started = performance.now();
    const picture = await stages.around('decode', () => decodeImage(bytes, header));
    const decodeMs = performance.now() - started;
    const { assessment, timings } = await batcher.submit(runs.enqueue(picture));
    return { assessment, timings: { decodeMs, ...timings } };
  }
}

/** How the images in work come to the engines. */
export function planBatches(
  { engines, maxBatch }: EngineLayout,
  { lingerMs, runAhead, concurrency }: BatchWishes,
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
  if (broken) log.warn({ err: broken, images: queued.length }, 'a run failed; took it one by one');
  return answers;
}
