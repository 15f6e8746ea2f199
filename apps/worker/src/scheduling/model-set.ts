import type { ModelSetFacts } from '@livegate/core/domain';
import type { Log } from '@livegate/core/telemetry';
import { context, type Context } from '@opentelemetry/api';
import type { EngineLayout } from '../engine/choose-layout.js';
import {
  type Engines,
  type EnginesConfig,
  type OpenEngines,
  openEngines,
} from '../engine/open-engines.js';
import type { Picture } from '../inference/picture.js';
import type { AssessedBySet } from '../inference/pipeline.js';
import type { LoadedModels } from '../models/load-models.js';
import type { ObserveRuns } from '../telemetry/observe-runs.js';
import { type BatchRules, createBatcher } from './batcher.js';

/** A decoded image, as it waits in the batcher. */
export interface QueuedImage {
  picture: Picture;
  /** The active trace of its check. */
  check: Context;
  /** `performance.now()` when it was decoded. */
  queuedAt: number;
}

export interface BatchSettings {
  /** How long a decoded image may wait for a fuller batch while an engine is idle. */
  lingerMs: number;
  /** Whether each engine has a full batch queued in its thread while it runs another. */
  runAhead: boolean;
  /**
   * Images in work at once. Default for each engine: a full batch, but at least two images, one to
   * run and one to be decoded; three full batches with `runAhead`.
   */
  concurrency?: number | undefined;
}

export interface ModelSetConfig extends EnginesConfig, BatchSettings {
  profile: string;
  models: Omit<LoadedModels, 'facts'>;
  facts: ModelSetFacts;
}

export interface ModelSetDeps extends Pick<BatchRules, 'areFlowsMixed'> {
  log: Log;
  open?: OpenEngines | undefined;
  /** Without it, runs are neither traced nor measured. */
  runs?: ObserveRuns;
}

/** The open models of a profile: their facts and cut points, their engines, and the batcher. */
export interface ModelSet {
  profile: string;
  facts: ModelSetFacts;
  /** Equal for sets that give the same answers with the same engines. */
  identity: string;
  layout: EngineLayout;
  /** Most pictures at once. */
  capacity: number;
  /** Rejects with an `EngineCrash`, or with the error of this picture. */
  assess(picture: Picture, rank?: number): Promise<AssessedBySet>;
  /** From now on no picture waits for a fuller batch. */
  drain(): void;
  /** Milliseconds since the start of the longest present run; 0 without a run. */
  longestRunMs(): number;
  /** Resolves when a crashed engine cannot be replaced. */
  lost: Promise<void>;
  /** Waits for the pictures in work, then closes the engines. */
  close(): Promise<void>;
}

/** Opens the engines and runs each model once. Throws when a model differs from the catalogue. */
export async function openModelSet(config: ModelSetConfig, deps: ModelSetDeps): Promise<ModelSet> {
  const { profile, models, facts } = config;
  const { open = openEngines, log, areFlowsMixed } = deps;
  let onLost = () => {};
  const lost = new Promise<void>((resolve) => (onLost = resolve));
  const engines = await open(config, { log, onLost: () => onLost() });
  const rules = planBatches(engines.layout, config);
  const observe = deps.runs?.around ?? ((_, run) => run());
  const batcher = createBatcher(
    (queued: QueuedImage[]) => runBatch(queued, { engines, observe, log }),
    { ...rules, areFlowsMixed },
  );
  const inWork = new Set<Promise<unknown>>();

  return {
    profile,
    facts,
    identity: identify({ models, facts, layout: engines.layout }),
    layout: engines.layout,
    capacity: rules.capacity,
    async assess(picture, rank) {
      const queued = { picture, check: context.active(), queuedAt: performance.now() };
      const answer = batcher.submit(queued, rank);
      inWork.add(answer);
      const assessed = await answer.finally(() => inWork.delete(answer));
      return { ...assessed, modelSet: facts };
    },
    lost,
    drain: batcher.drain,
    longestRunMs: engines.longestRunMs,
    async close() {
      batcher.drain();
      await Promise.allSettled(inWork);
      await engines.close();
    },
  };
}

/** Without the bytes of the models, whose hashes are in their descriptions. */
export function identify({
  models,
  facts,
  layout: { engines },
}: Pick<ModelSetConfig, 'models' | 'facts' | 'layout'>): string {
  const { detector, classifiers, ...rest } = models;
  const described = [detector, ...classifiers].map((model) => ({ ...model, bytes: undefined }));
  return JSON.stringify({ described, ...rest, facts, engines });
}

/**
 * How many images a batch may contain, and how many may wait and run at once. On a CPU a batch of two
 * takes nearly twice as long as one image, so while several flows have checks it has one. On an
 * accelerator, which runs ahead, it takes as long.
 */
export function planBatches(
  { engines, maxBatch }: EngineLayout,
  { lingerMs, runAhead, concurrency }: BatchSettings,
): BatchRules {
  const maxAhead = runAhead ? engines : 0;
  const perEngine = runAhead ? 3 * maxBatch : Math.max(2, maxBatch);
  const capacity = concurrency ?? engines * perEngine;
  const maxMixed = runAhead ? maxBatch : 1;
  return { maxBatch, maxMixed, maxRuns: engines, maxAhead, lingerMs, capacity };
}

async function runBatch(
  queued: QueuedImage[],
  { engines, observe, log }: { engines: Engines; observe: ObserveRuns['around']; log: Log },
) {
  const pictures = queued.map(({ picture }) => picture);
  const { answers, broken } = await observe(queued, () => engines.assess(pictures));
  if (broken) log.warn({ err: broken, images: queued.length }, 'batch failed, retried per image');
  return answers;
}
