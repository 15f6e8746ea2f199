import { setFlagsFromString } from 'node:v8';
import {
  type Assessment,
  type ImageHeader,
  inspectHeader,
  type ModelFacts,
} from '@livegate/core/domain';
import type { Log } from '@livegate/core/telemetry';
import { Semaphore } from 'async-mutex';
import { countCpus, type EngineLayout } from '../engine/choose-layout.js';
import { EngineCrash } from '../engine/open-engine.js';
import { type Engines, type EnginesConfig, openEngines } from '../engine/open-engines.js';
import type { SupervisorDeps } from '../engine/supervise-engine.js';
import {
  createDecodeImage,
  decodeBytes,
  isDecodedApart,
} from '../inference/decode/decode-image.js';
import { setUpLibvips } from '../inference/decode/decode-pixels.js';
import { loadModels } from '../models/load-models.js';
import {
  createObserveRuns,
  createObserveStages,
  type ObserveRuns,
  type QueuedImage,
} from '../telemetry/observe-runs.js';
import { type BatchRules, createBatcher } from './batcher.js';

export interface PipelineConfig extends Omit<EnginesConfig, 'models'>, BatchSettings {
  /** A prepared folder: `manifest.json` and the files it names. */
  modelsDir: string;
  /** Largest accepted picture, width times height. */
  maxImagePixels: number;
}

export interface BatchSettings {
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
  { open = openEngines, ...deps }: SupervisorDeps & { open?: typeof openEngines },
): Promise<Pipeline> {
  setUpLibvips();
  limitFullCollections();
  const { facts, ...models } = await loadModels(modelsDir);
  const engines = await open({ ...config, models }, deps);
  const { layout } = engines;
  const stages = createObserveStages();
  const decodeImage = createDecodeImage(countCpus());
  const runs = createObserveRuns(engines);
  const run = (queued: QueuedImage[]) => runBatch(queued, { engines, runs, ...deps });
  const rules = planBatches(layout, config);
  const batcher = createBatcher(run, rules);
  const room = createDecodeBudget();

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
  if (broken) log.warn({ err: broken, images: queued.length }, 'a run failed; took it one by one');
  return answers;
}

/** What images in work may take of this process's memory: eight photos of 12 megapixels. */
const MAX_MEGABYTES_HERE = 600;
/** And those that are decoded in processes of their own, with these: one of the largest. */
const MAX_MEGABYTES_APART = 500;

export interface DecodeBudget {
  /** Does the work as soon as there is memory for its image, until it ends. */
  run<Result>(header: ImageHeader, work: () => Promise<Result>): Promise<Result>;
  /** Does the work while there is no other. */
  runAlone<Result>(work: () => Promise<Result>): Promise<Result>;
}

/**
 * Admits images to work by the memory that their decodes take, first come, first served: but large
 * ones, which take seconds, in a queue of their own, so that no photo waits behind them.
 */
export function createDecodeBudget(): DecodeBudget {
  // In megabytes: a semaphore's release takes a step for each unit that is free.
  const here = new Semaphore(MAX_MEGABYTES_HERE);
  const apart = new Semaphore(MAX_MEGABYTES_APART);

  return {
    run(header, work) {
      const megabytes = Math.ceil(decodeBytes(header) / 1e6);
      return isDecodedApart(header)
        ? apart.runExclusive(work, Math.min(megabytes, MAX_MEGABYTES_APART))
        : here.runExclusive(work, Math.min(megabytes, MAX_MEGABYTES_HERE));
    },
    runAlone(work) {
      const runApart = () => apart.runExclusive(work, MAX_MEGABYTES_APART);
      return here.runExclusive(runApart, MAX_MEGABYTES_HERE);
    },
  };
}

/**
 * Lets the heap, in this whole process, grow to four times what survived the last full collection: as
 * far as V8 goes by itself, too, where it does not expect to need them often.
 *
 * Pixels lie outside the heap but count towards its limit. A worker's heap is small, so that a dozen or
 * two of selfies led to a full collection (`test/integration/count-full-collections.mjs` counts them),
 * beside the quick ones that free pixels anyway.
 */
export function limitFullCollections(): void {
  setFlagsFromString('--heap-growing-percent=300');
}
