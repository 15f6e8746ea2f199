import {
  asRefusal,
  type Assessment,
  type CheckResult,
  decideVerdict,
  describeModels,
  LivegateError,
  type QueuedCheck,
  roundMs,
} from '@livegate/core/domain';
import type { Cancellations, ImageStore } from '@livegate/core/ports';
import type { AssessedImage } from '../inference/pipeline.js';
import type { AssessOptions, ImageScheduler } from '../scheduling/schedule-images.js';
import { createObserveStages } from '../telemetry/observe-runs.js';
import type { Audit } from './audit/open-audit.js';
import { coalesceLookups } from './coalesce-lookups.js';
import { createLargeSlots } from './large-slots.js';

/** A check that this worker has taken from the queue. */
export interface TakenCheck {
  id: string;
  tenant: string;
  /** By `workOf`. */
  work: number;
  /** Its flow in the queue, and its work there. */
  share: QueuedCheck;
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
  scheduler: Pick<ImageScheduler, 'assess' | 'large' | 'concurrency' | 'shadow'>;
  /** Awaited before a check ends by a verdict or by a refusal. */
  audit: Pick<Audit, 'record'>;
}

/** No slot for a large image is free, or another tenant is next: a later attempt may succeed. */
export class LargeImagesBusy extends Error {
  /** To be called once the check waits in the queue: calls `wake` when its turn has come. */
  readonly awaitSlot: (wake: () => Promise<unknown>) => void;

  constructor(awaitSlot: LargeImagesBusy['awaitSlot']) {
    super('no slot for a large image is free');
    this.awaitSlot = awaitSlot;
  }
}

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
    const assessing = assess({ image, share: check.share }, run);
    const assessed = await followBy(afterRun, assessing).catch(refuse(image));
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
 * Lets large images take half of the worker's jobs, and the memory for their decodes. None waits here
 * for another one, which would keep photos from being taken, and tenants from taking turns.
 */
function createAssess({ assess, large, concurrency }: CheckImageDeps['scheduler']) {
  const images = Math.max(1, Math.floor(concurrency / 2));
  const slots = createLargeSlots({ images, megabytes: large.maxMegabytes });

  return async (
    { image, share }: { image: Uint8Array; share: QueuedCheck },
    options: AssessOptions & { checkId: string },
  ): Promise<AssessedImage> => {
    const megabytes = large.megabytesOf(image);
    if (megabytes === 0) return await assess(image, options);
    const check = { id: options.checkId, share, megabytes };
    const release = slots.take(check);
    if (!release) throw new LargeImagesBusy((wake) => slots.awaitSlot(check, wake));
    return await assess(image, options).finally(release);
  };
}

function refuseCanceled(ids: string[], canceled: Map<string, unknown>): (string | Error)[] {
  return ids.map((id) => (canceled.has(id) ? new LivegateError('canceled') : id));
}
