import {
  asRefusal,
  type Assessment,
  type CheckResult,
  decideVerdict,
  describeModels,
  LivegateError,
  roundMs,
} from '@livegate/core/domain';
import type {
  AwaitedCheck,
  Cancellations,
  Demand,
  Demands,
  ImageStore,
} from '@livegate/core/ports';
import type { RankedCheck } from '../scheduling/by-rank.js';
import type { ImageScheduler } from '../scheduling/schedule-images.js';
import { createObserveStages } from '../telemetry/observe-runs.js';
import type { Audit } from './audit/open-audit.js';
import { coalesceLookups } from './coalesce-lookups.js';
import { limitLargeImages } from './large-slots.js';
import { CheckPostponed } from './requeue.js';

/** A check that this worker has taken from the queue. */
export interface TakenCheck {
  id: string;
  tenant: string;
  /** By `workOf`. */
  work: number;
  /** Its flow and its rank in the queue, and how long it takes here. */
  share: RankedCheck;
  /** The gateway whose caller alone wants it. */
  waiter?: string | undefined;
  /** `performance.now()` when it was taken. */
  takenAt: number;
  /** Set when a worker died with this check: the check then runs alone, after this has resolved. */
  beforeAlone?: () => Promise<void>;
  /** Set with `beforeAlone`: awaited as soon as the run has ended in any way. Never rejects. */
  afterAlone?: () => Promise<void>;
  /** Awaited before the check gets a result, with whether its tenant has webhook endpoints. */
  beforeResult(hasEndpoints: boolean): Promise<void>;
}

export interface CheckImageDeps {
  imageStore: ImageStore;
  cancellations: Pick<Cancellations, 'find' | 'cancel'>;
  demands: Demands;
  scheduler: Pick<ImageScheduler, 'assess' | 'large' | 'concurrency' | 'shadow'>;
  /** Awaited before a check ends by a verdict or by a refusal. */
  audit: Pick<Audit, 'record'>;
}

export type CheckImage = (check: TakenCheck) => Promise<CheckResult>;

/**
 * Runs one check: claims its image, assesses the image, decides the verdict. Rejects with the
 * LivegateError `canceled`, `image_expired`, or the refusal of the image, or with `CheckPostponed`.
 */
export function createCheckImage(deps: CheckImageDeps): CheckImage {
  const { imageStore, cancellations, scheduler, audit } = deps;
  const stages = createObserveStages();
  const assess = limitLargeImages(scheduler);
  const claimImage = coalesceLookups(claimImages);
  const requireWanted = createRequireWanted(deps);

  return async (check) => {
    const { id, tenant, share, takenAt, beforeAlone, afterAlone, beforeResult } = check;
    const refuse = createRefuse(check, audit);
    const { ask, askIfOld } = rememberAnswer(() => requireWanted(check));
    const claim = () => Promise.all([claimImage(id), ask()]);
    const [image] = await stages.around('claim', claim).catch(refuse());
    // Its caller may have hung up while it was decoded.
    const run = { checkId: id, share, beforeAlone, beforeBatch: askIfOld };
    const assessing = assess(image, run);
    const assessed = await followBy(afterAlone, assessing).catch(refuse(image));
    const { assessment, modelSet } = assessed;
    const verdict = decideVerdict(assessment, modelSet.cutPoints);
    // A check that was canceled during its run must not get a result or a record of one. Its gateway
    // does not matter any more.
    const { hasEndpoints } = await requireWanted({ id, tenant });
    const recorded = audit.record({ ...check, image, end: assessed });
    await Promise.all([recorded, beforeResult(hasEndpoints)]);
    scheduler.shadow.offer({ id, image, verdict, modelSet });
    return {
      verdict,
      model: describeModels(modelSet.models),
      ...qualityOf(assessment),
      timings: roundTimings({ ...assessed.timings, workerMs: performance.now() - takenAt }),
    };
  };

  /** The images that have not expired. */
  async function claimImages(ids: string[]): Promise<(Uint8Array | Error)[]> {
    const images = await imageStore.get(ids);
    // A cancellation deletes the image, which must not read as expired.
    const canceled = await cancellations.find(ids.filter((_, i) => !images[i]));
    return images.map((image, i) => {
      const isCanceled = canceled.has(ids[i]!);
      return image ?? new LivegateError(isCanceled ? 'canceled' : 'image_expired');
    });
  }
}

/**
 * Lets no check go on that was canceled, or whose only caller waits at a gateway that is away. A check
 * whose caller cannot wait any more is canceled, as if the caller had hung up.
 */
function createRequireWanted({
  demands,
  cancellations,
}: Pick<CheckImageDeps, 'demands' | 'cancellations'>) {
  const findDemand = coalesceLookups((checks: AwaitedCheck[]) => demands.find(checks));

  return async ({ id, tenant, waiter }: AwaitedCheck): Promise<Demand> => {
    const demand = await findDemand({ id, tenant, waiter });
    const { cancellation, caller } = demand;
    if (cancellation) throw new LivegateError('canceled');
    if (caller === 'away') throw new CheckPostponed('the gateway of its caller is away');
    if (caller === undefined) return demand;
    await cancellations.cancel(id);
    throw new LivegateError('canceled', { detail: 'the gateway of its caller is gone' });
  };
}

/** From this age on, an answer is old. A small decode is faster. */
const OLD_MS = 10;

function rememberAnswer(question: () => Promise<unknown>) {
  let answeredAt = 0;
  const ask = async () => {
    await question();
    answeredAt = performance.now();
  };
  const askIfOld = async () => {
    if (performance.now() - answeredAt >= OLD_MS) await ask();
  };
  return { ask, askIfOld };
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

type Timings = CheckResult['timings'];

function roundTimings({ decodeMs, detectMs, classifyMs, workerMs }: Timings): Timings {
  return {
    decodeMs: roundMs(decodeMs),
    detectMs: roundMs(detectMs),
    classifyMs: roundMs(classifyMs),
    workerMs: roundMs(workerMs),
  };
}

function qualityOf(assessment: Assessment): Pick<CheckResult, 'quality'> {
  return assessment.kind === 'scored' ? { quality: assessment.quality } : {};
}
