import { inspectHeader, type ModelSetFacts } from '@livegate/core/domain';
import { limitFullCollections, limitTime } from '@livegate/core/runtime';
import type { Log } from '@livegate/core/telemetry';
import type { EngineLayout } from '../engine/choose-layout.js';
import { countCpus } from '../engine/count-cpus.js';
import { EngineCrash } from '../engine/open-engine.js';
import {
  createDecodeImage,
  type DecodeImage,
  isDecodedApart,
} from '../inference/decode/decode-image.js';
import { setUpLibvips } from '../inference/decode/decode-pixels.js';
import type { Picture } from '../inference/picture.js';
import { type AssessedImage, assessImage, type AssessImageDeps } from '../inference/pipeline.js';
import type { Rollout } from '../models/rollout.js';
import { createObserveStages } from '../telemetry/observe-runs.js';
import { watchFlows } from './batcher.js';
import { createRanksInWork, type RankedCheck } from './by-rank.js';
import {
  createDecodeBudget,
  type DecodeBudget,
  describeLarge,
  type LargeImages,
} from './decode-budget.js';
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
  /** Its check in the queue: see `createRanksInWork` and `watchFlows`. */
  share?: RankedCheck;
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
  const limits = { maxImagePixels, capacity, log: deps.log };
  const { assess, assessByShadow } = createAssess(sets, limits);
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
      flows.add(options.share?.flow);
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

interface AssessDeps {
  sets: ModelSets;
  decode: DecodeImage;
  budget: DecodeBudget;
  log: Log;
}

/** Both share the budget for decodes, so that an image that must run alone waits for the shadow. */
function createAssess(
  sets: ModelSets,
  { maxImagePixels, capacity, log }: { maxImagePixels: number; capacity: number; log: Log },
) {
  const deps: AssessDeps = {
    sets,
    decode: createDecodeImage(countCpus()),
    budget: createDecodeBudget(capacity),
    log,
  };
  const assessRanked = createAssessRanked(deps);
  const byShadow = createAssessByShadow(deps);
  const ranks = createRanksInWork();
  const inspect = (bytes: Uint8Array) => ({ bytes, header: inspectHeader(bytes, maxImagePixels) });

  return {
    async assess(bytes: Uint8Array, { share, ...options }: AssessOptions) {
      const image = inspect(bytes);
      // A decode apart takes nothing for which other images wait.
      const counted = share && isDecodedApart(image.header) ? { ...share, ms: 0 } : share;
      return await ranks.during(counted, (rank) => assessRanked(image, { ...options, rank }));
    },
    assessByShadow: async (bytes: Uint8Array, set: ModelSet) => byShadow(inspect(bytes), set),
  };
}

type InspectedImage = Parameters<typeof assessImage>[0];
type RankedOptions = Omit<AssessOptions, 'share'> & { rank: number };
type Reserve = AssessImageDeps['reserve'];

function createAssessRanked({ sets, decode, budget, log }: AssessDeps) {
  const stages = createObserveStages();

  return async function assess(
    image: InspectedImage,
    { checkId, rank, beforeAlone, beforeBatch }: RankedOptions,
  ): Promise<AssessedImage> {
    const { header } = image;
    const decodeInTurn = budget.limitDecode(decode, rank);
    const tracedDecode: DecodeImage = (...args) =>
      stages.around('decode', () => decodeInTurn(...args));
    const run = (reserve: Reserve, id?: string) => {
      const assessInBatch = async (picture: Picture) => {
        await beforeBatch?.();
        return await sets.assess(picture, { id, rank });
      };
      return assessImage(image, { decode: tracedDecode, reserve, assessInBatch });
    };
    const runAlone = () => run((_factor, look) => look());
    if (beforeAlone) return await budget.runAlone(() => beforeAlone().then(runAlone));
    try {
      return await run((factor, look) => budget.reserve({ header, factor, rank }, look), checkId);
    } catch (error) {
      const canaryFailed = error instanceof CanaryFailure;
      if ((canaryFailed ? error.cause : error) instanceof EngineCrash) {
        // This image may have crashed the engine: a second crash must not take others with it.
        return await budget.runAlone(runAlone);
      }
      if (!canaryFailed) throw error;
      log.warn({ err: error }, 'canary failed, image assessed by the current models');
      return await assess(image, { rank, beforeBatch });
    }
  };
}

/** The longest that a hanging stage of a shadow may delay an image that runs alone. */
const SHADOW_LIMIT_MS = 10_000;

function createAssessByShadow({ decode, budget }: AssessDeps) {
  const rank = Infinity;
  const limited: DecodeImage = (...args) => limitTime(SHADOW_LIMIT_MS, decode(...args));

  return (image: InspectedImage, set: ModelSet): Promise<AssessedImage> =>
    assessImage(image, {
      decode: budget.limitDecode(limited, rank),
      reserve: (factor, look) => budget.reserve({ ...image, factor, rank }, look),
      assessInBatch: (picture) => limitTime(SHADOW_LIMIT_MS, set.assess(picture)),
    });
}
