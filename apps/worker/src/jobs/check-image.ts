import {
  asRefusal,
  type Assessment,
  type CheckResult,
  decideVerdict,
  describeModels,
  LivegateError,
  roundMs,
} from '@livegate/core/domain';
import type { Cancellations, ImageStore } from '@livegate/core/ports';
import type { ImageScheduler } from '../scheduling/schedule-images.js';
import { createObserveStages } from '../telemetry/observe-runs.js';
import type { Audit } from './audit/open-audit.js';
import { coalesceLookups } from './coalesce-lookups.js';

/** A check that this worker has taken from the queue. */
export interface TakenCheck {
  id: string;
  tenant: string;
  /** By `workOf`. */
  work: number;
  /** Of its job; absent for one that goes first. */
  rank?: number | undefined;
  /** `performance.now()` when it was taken. */
  takenAt: number;
  /** Set when a worker died with this check: the check then runs alone, after this has resolved. */
  beforeRun?: () => Promise<void>;
  /** Set with `beforeRun`: awaited as soon as the run has ended in any way. Never rejects. */
  afterRun?: () => Promise<void>;
  /** Awaited before the check gets a result. */
  beforeResult(): Promise<void>;
}

export interface CheckImageDeps {
  imageStore: ImageStore;
  cancellations: Cancellations;
  scheduler: Pick<ImageScheduler, 'assess' | 'isLarge' | 'concurrency' | 'shadow'>;
  /** Awaited before a check ends by a verdict or by a refusal. */
  audit: Pick<Audit, 'record'>;
}

/** Large images hold their share of this worker's jobs: a later attempt at the check may succeed. */
export class LargeImagesBusy extends Error {}

export type CheckImage = (check: TakenCheck) => Promise<CheckResult>;

/**
 * Runs one check: claims its image, assesses the image, decides the verdict. Rejects with the
 * LivegateError `canceled`, `image_expired`, or the refusal of the image, or with `LargeImagesBusy`.
 */
export function createCheckImage(deps: CheckImageDeps): CheckImage {
  const { imageStore, cancellations, scheduler, audit } = deps;
  const stages = createObserveStages();
  const assess = createAssess(scheduler);
  const claimImage = coalesceLookups(claimImages);
  const requireWanted = coalesceLookups(async (ids) =>
    refuseCanceled(ids, await cancellations.find(ids)),
  );

  return async (check) => {
    const { id, rank, takenAt, beforeRun, afterRun, beforeResult } = check;
    const refuse = createRefuse(check, audit);
    const image = await stages.around('claim', () => claimImage(id)).catch(refuse());
    // Its caller may have hung up while it was decoded.
    const beforeBatch = async () => void (await requireWanted(id));
    const run = { checkId: id, rank, beforeAlone: beforeRun, beforeBatch };
    const assessed = await followBy(afterRun, assess(image, run)).catch(refuse(image));
    const { assessment, modelSet, timings } = assessed;
    const verdict = decideVerdict(assessment, modelSet.cutPoints);
    // A check that was canceled during its run must not get a result or a record of one.
    const recorded = requireWanted(id).then(() => audit.record({ ...check, image, end: assessed }));
    await Promise.all([recorded, beforeResult()]);
    scheduler.shadow.offer({ id, image, verdict, modelSet });
    return {
      verdict,
      model: describeModels(modelSet.models),
      ...qualityOf(assessment),
      timings: {
        decodeMs: roundMs(timings.decodeMs),
        detectMs: roundMs(timings.detectMs),
        classifyMs: roundMs(timings.classifyMs),
        workerMs: roundMs(performance.now() - takenAt),
      },
    };
  };

  /** The images that have not expired and whose checks have not been canceled. */
  async function claimImages(ids: string[]): Promise<(Uint8Array | Error)[]> {
    const [canceled, images] = await Promise.all([cancellations.find(ids), imageStore.get(ids)]);
    // A cancellation between the two commands deletes the image, which must not read as expired.
    const justCanceled = await cancellations.find(ids.filter((_, i) => !images[i]));
    return images.map((image, i) => {
      if (canceled.has(ids[i]!) || justCanceled.has(ids[i]!)) return new LivegateError('canceled');
      return image ?? new LivegateError('image_expired');
    });
  }
}

/** Awaits `after` however the work ends. */
async function followBy<Result>(
  after: (() => Promise<void>) | undefined,
  work: Promise<Result>,
): Promise<Result> {
  try {
    return await work;
  } finally {
    await after?.();
  }
}

/** Records a refusal of the image before it is thrown on. */
function createRefuse(check: TakenCheck, audit: CheckImageDeps['audit']) {
  return (image?: Uint8Array) =>
    async (error: unknown): Promise<never> => {
      const end = asRefusal(error);
      if (end && end.code !== 'canceled') await audit.record({ ...check, image, end });
      throw error;
    };
}

function qualityOf(assessment: Assessment): Pick<CheckResult, 'quality'> {
  return assessment.kind === 'scored' ? { quality: assessment.quality } : {};
}

/**
 * Lets large images take half of the worker's jobs at most. They are decoded one or two at a time, and
 * those that waited for it here would keep photos from being taken.
 */
function createAssess({
  assess,
  isLarge,
  concurrency,
}: CheckImageDeps['scheduler']): ImageScheduler['assess'] {
  const maxLarge = Math.max(1, Math.floor(concurrency / 2));
  let large = 0;
  return async (image, options) => {
    if (!isLarge(image)) return await assess(image, options);
    if (large >= maxLarge) throw new LargeImagesBusy();
    large += 1;
    return await assess(image, options).finally(() => (large -= 1));
  };
}

function refuseCanceled(ids: string[], canceled: Map<string, unknown>): (string | Error)[] {
  return ids.map((id) => (canceled.has(id) ? new LivegateError('canceled') : id));
}
