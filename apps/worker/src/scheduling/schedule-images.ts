import { type ImageHeader, inspectHeader, type ModelSetFacts } from '@livegate/core/domain';
import { limitFullCollections, limitTime } from '@livegate/core/runtime';
import type { Log } from '@livegate/core/telemetry';
import { Semaphore } from 'async-mutex';
import type { EngineLayout } from '../engine/choose-layout.js';
import { countCpus } from '../engine/count-cpus.js';
import { EngineCrash } from '../engine/open-engine.js';
import {
  createDecodeImage,
  decodeBytes,
  type DecodeImage,
  isDecodedApart,
} from '../inference/decode/decode-image.js';
import { setUpLibvips } from '../inference/decode/decode-pixels.js';
import type { Picture } from '../inference/picture.js';
import { type AssessedImage, assessImage } from '../inference/pipeline.js';
import type { Rollout } from '../models/rollout.js';
import { createObserveStages } from '../telemetry/observe-runs.js';
import { watchFlows } from './batcher.js';
import type { ModelSet } from './model-set.js';
import { CanaryFailure, type ModelSets, type ModelSetsDeps, openModelSets } from './model-sets.js';
import type { RolesConfig } from './open-roles.js';
import { createLoad, createShadowChecks, type ShadowChecks } from './shadow-checks.js';

export interface SchedulerConfig extends RolesConfig {
  /** The profiles to start with. */
  rollout: Rollout;
  /** Largest accepted picture, width times height. */
  maxImagePixels: number;
}

/** How an image is assessed. */
export interface AssessOptions {
  /** The id of its check, which decides whether the canary assesses the image. */
  checkId?: string;
  /** The rank of its job: among decoded images, a lower one runs first. */
  rank?: number | undefined;
  /** The flow of its check in the queue, by `flowName`: see `watchFlows`. */
  flow?: string;
  /** No other image is in work during this one; awaited before the image is decoded. */
  beforeAlone?: (() => Promise<void>) | undefined;
  /** Awaited between the decode and the batch. If it rejects, no engine runs the image. */
  beforeBatch?: (() => Promise<void>) | undefined;
}

export interface ImageScheduler {
  /** The model sets that answer checks now: the current one, and the canary. */
  modelSets(): { current: ModelSetFacts; canary?: ModelSetFacts };
  executionProvider: string;
  layout: EngineLayout;
  /** How many calls of `assess` may be pending at once. */
  concurrency: number;
  /**
   * Assesses a JPEG or PNG file, in one batch with other images. Rejects with the LivegateError of
   * an image that is refused.
   */
  assess(image: Uint8Array, options?: AssessOptions): Promise<AssessedImage>;
  /** Images that are decoded in a process of their own, for seconds. */
  large: LargeImages;
  shadow: ShadowChecks;
  /** Swaps the models: see `ModelSets`. */
  use(rollout: Rollout): Promise<boolean>;
  /** From now on no image waits for a fuller batch. */
  drain(): void;
  /** Milliseconds since the start of the longest present run; 0 without a run. */
  longestRunMs(): number;
  close(): Promise<void>;
}

export interface LargeImages {
  /** The memory of such a decode; 0 for another image. Throws as `assess` rejects. */
  megabytesOf(image: Uint8Array): number;
  /** For all of them at once. */
  maxMegabytes: number;
}

/**
 * Throws an Error when a model is missing or changed, or the execution provider is not available.
 */
export async function openScheduler(
  { maxImagePixels, ...config }: SchedulerConfig,
  deps: Omit<ModelSetsDeps, 'areFlowsMixed'>,
): Promise<ImageScheduler> {
  setUpLibvips();
  limitFullCollections();
  const flows = watchFlows();
  const sets = await openModelSets(config, { ...deps, areFlowsMixed: flows.areMixed });
  const { layout, capacity } = sets.roles().current;
  const { assess, assessByShadow } = createAssess(sets, { maxImagePixels, log: deps.log });
  const load = createLoad(() => sets.roles().current.layout.engines);
  const large = describeLarge(maxImagePixels);
  const isLarge = (image: Uint8Array) => large.megabytesOf(image) > 0;

  return {
    modelSets() {
      const { current, canary } = sets.roles();
      return { current: current.facts, ...(canary && { canary: canary.set.facts }) };
    },
    executionProvider: config.executionProvider,
    layout,
    concurrency: capacity,
    assess(bytes, options = {}) {
      // Before its decode, so that no further batch makes it wait.
      flows.add(options.flow);
      return load.during(() => assess(bytes, options));
    },
    large,
    shadow: createShadowChecks({ ...sets, ...load, isLarge, assess: assessByShadow }),
    use: sets.use,
    drain: sets.drain,
    longestRunMs: sets.longestRunMs,
    close: sets.close,
  };
}

/** The longest that a hanging shadow may delay an image that runs alone. */
const SHADOW_LIMIT_MS = 10_000;

/** Both share the memory for decodes, so that an image that must run alone waits for the shadow. */
function createAssess(
  sets: ModelSets,
  { maxImagePixels, log }: { maxImagePixels: number; log: Log },
) {
  const budget = createDecodeBudget();
  const decode = createDecodeImage(countCpus());
  const tracedDecode = createTracedDecode(decode);

  async function assess(
    bytes: Uint8Array,
    { checkId, rank, beforeAlone, beforeBatch }: AssessOptions,
  ): Promise<AssessedImage> {
    const header = inspectHeader(bytes, maxImagePixels);
    const runFor = (id?: string) => {
      const assessInBatch = async (picture: Picture) => {
        await beforeBatch?.();
        return await sets.assess(picture, { id, rank });
      };
      return assessImage({ bytes, header }, { decode: tracedDecode, assessInBatch });
    };
    if (beforeAlone) return await budget.runAlone(() => beforeAlone().then(() => runFor()));
    try {
      return await budget.run(header, () => runFor(checkId));
    } catch (error) {
      const canaryFailed = error instanceof CanaryFailure;
      if ((canaryFailed ? error.cause : error) instanceof EngineCrash) {
        // This image may have crashed the engine: a second crash must not take others with it.
        return await budget.runAlone(() => runFor());
      }
      if (!canaryFailed) throw error;
      log.warn({ err: error }, 'canary failed, image assessed by the current models');
      return await assess(bytes, { rank, beforeBatch });
    }
  }

  async function assessByShadow(bytes: Uint8Array, set: ModelSet): Promise<AssessedImage> {
    const header = inspectHeader(bytes, maxImagePixels);
    const stages = { decode, assessInBatch: set.assess };
    const run = () => limitTime(SHADOW_LIMIT_MS, assessImage({ bytes, header }, stages));
    return await budget.run(header, run);
  }

  return { assess, assessByShadow };
}

function createTracedDecode(decode: DecodeImage): DecodeImage {
  const stages = createObserveStages();
  return (...image) => stages.around('decode', () => decode(...image));
}

/** For decodes in this process, in MB (1e6 bytes): eight photos of 12 megapixels. */
const MAX_MEGABYTES_HERE = 600;
/** For decodes in child processes, in MB: one of the largest accepted images. */
const MAX_MEGABYTES_APART = 500;

function describeLarge(maxImagePixels: number): LargeImages {
  return {
    megabytesOf(image) {
      const header = inspectHeader(image, maxImagePixels);
      return isDecodedApart(header) ? megabytesOf(header, MAX_MEGABYTES_APART) : 0;
    },
    maxMegabytes: MAX_MEGABYTES_APART,
  };
}

/** The largest image gets all of the memory. */
function megabytesOf(header: ImageHeader, max: number): number {
  return Math.min(Math.ceil(decodeBytes(header) / 1e6), max);
}

interface DecodeBudget {
  /**
   * Starts the work once there is memory to decode its image; the memory is reserved until it ends.
   */
  run<Result>(header: ImageHeader, work: () => Promise<Result>): Promise<Result>;
  /** Starts the work once all other work has ended, and lets no other work start until it ends. */
  runAlone<Result>(work: () => Promise<Result>): Promise<Result>;
}

/**
 * Admits images to work by the memory that their decodes need, in order of arrival. Images that are
 * decoded in child processes have a queue of their own: they take seconds, and no photo waits for
 * them.
 */
export function createDecodeBudget(): DecodeBudget {
  // In MB, not bytes: releasing a semaphore takes one step for each free unit.
  const here = new Semaphore(MAX_MEGABYTES_HERE);
  const apart = new Semaphore(MAX_MEGABYTES_APART);

  return {
    run(header, work) {
      return isDecodedApart(header)
        ? apart.runExclusive(work, megabytesOf(header, MAX_MEGABYTES_APART))
        : here.runExclusive(work, megabytesOf(header, MAX_MEGABYTES_HERE));
    },
    runAlone(work) {
      const runApart = () => apart.runExclusive(work, MAX_MEGABYTES_APART);
      return here.runExclusive(runApart, MAX_MEGABYTES_HERE);
    },
  };
}
