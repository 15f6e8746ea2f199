import {
  type CheckResult,
  type CutPoints,
  decideVerdict,
  describeModels,
  LivegateError,
  roundMs,
} from '@livegate/core/domain';
import type { Cancellations, ImageStore } from '@livegate/core/ports';
import { createBatcher, type RunBatch } from '../scheduling/batcher.js';
import type { Pipeline } from '../scheduling/schedule-images.js';
import { createObserveStages } from '../telemetry/observe-runs.js';

/** One check that this worker has taken. */
export interface TakenCheck {
  id: string;
  /** `performance.now()` when it was taken. */
  takenAt: number;
  /** Given when a worker died holding this check. Called right before it runs, alone. */
  beforeRun?: () => Promise<void>;
  /** Called and awaited before there is a result. */
  beforeResult(): Promise<void>;
}

export interface CheckImageDeps {
  imageStore: ImageStore;
  cancellations: Cancellations;
  pipeline: Pick<Pipeline, 'assess' | 'models'>;
  cutPoints: CutPoints;
}

export type CheckImage = (check: TakenCheck) => Promise<CheckResult>;

/**
 * From an id to a verdict: claims the image, has it assessed, decides. Rejects with the
 * LivegateError `canceled`, `image_expired`, or that of the image.
 */
export function createCheckImage(deps: CheckImageDeps): CheckImage {
  const { imageStore, cancellations, pipeline, cutPoints } = deps;
  const model = describeModels(pipeline.models);
  const stages = createObserveStages();
  const claims = createLookup(claimImages);
  const cancels = createLookup(async (ids) => dropCanceled(ids, await cancellations.find(ids)));

  return async ({ id, takenAt, beforeRun, beforeResult }) => {
    const image = await stages.around('claim', () => claims.submit(id));
    const { assessment, timings } = await pipeline.assess(image, beforeRun);
    // Asked again: who cancelled meanwhile must not get a result.
    await Promise.all([cancels.submit(id), beforeResult()]);
    return {
      verdict: decideVerdict(assessment, cutPoints),
      model,
      timings: {
        decodeMs: roundMs(timings.decodeMs),
        detectMs: roundMs(timings.detectMs),
        classifyMs: roundMs(timings.classifyMs),
        workerMs: roundMs(performance.now() - takenAt),
      },
    };
  };

  /** Those images that are still there and still wanted. */
  async function claimImages(ids: string[]): Promise<(Uint8Array | Error)[]> {
    const [canceled, images] = await Promise.all([cancellations.find(ids), imageStore.get(ids)]);
    // A cancellation deletes the image, and may have come between the two.
    const justCanceled = await cancellations.find(ids.filter((_, i) => !images[i]));
    return images.map((image, i) => {
      if (canceled.has(ids[i]!) || justCanceled.has(ids[i]!)) return new LivegateError('canceled');
      return image ?? new LivegateError('image_expired');
    });
  }
}

function dropCanceled(ids: string[], canceled: Map<string, unknown>): (string | Error)[] {
  return ids.map((id) => (canceled.has(id) ? new LivegateError('canceled') : id));
}

/** One round trip at a time, for all that arrived during the last one. */
function createLookup<Found>(find: RunBatch<string, Found>) {
  return createBatcher(find, { maxBatch: 64, maxRuns: 1, lingerMs: 0, capacity: Infinity });
}
