import {
  decideVerdict,
  describeModels,
  LivegateError,
  roundMs,
  type Cancellations,
  type CheckResult,
  type CutPoints,
  type ImageStore,
} from '@livegate/core';
import type { RunBatch } from './batcher.js';
import type { AssessedImage, Pipeline } from './pipeline.js';

/** One check that this worker has taken. */
export interface TakenCheck {
  id: string;
  /** `performance.now()` when it was taken. */
  takenAt: number;
  /** Given when a worker died holding this check. Called right before it runs, alone. */
  beforeRun?: () => Promise<void>;
}

export interface CheckBatchDeps {
  imageStore: ImageStore;
  cancellations: Cancellations;
  pipeline: Pipeline;
  cutPoints: CutPoints;
}

/** From ids to verdicts: claims the images of a batch, has them assessed, decides. */
export function createCheckBatch(deps: CheckBatchDeps): RunBatch<TakenCheck, CheckResult> {
  const { imageStore, cancellations, pipeline, cutPoints } = deps;
  const model = describeModels(pipeline.models);

  return async (checks) => {
    const ids = checks.map(({ id }) => id);
    for (const { beforeRun } of checks) await beforeRun?.();
    const images = await claimImages(ids);
    const answers = await pipeline.assess([...images.values()]);
    const assessed = new Map([...images.keys()].map((id, index) => [id, answers[index]]));
    // Asked again: who cancelled meanwhile must not get a result.
    const canceled = await cancellations.find(ids);
    return checks.map((check) => {
      if (canceled.has(check.id)) return new LivegateError('canceled');
      const outcome = assessed.get(check.id) ?? new LivegateError('image_expired');
      return outcome instanceof LivegateError ? outcome : toResult(check, outcome);
    });
  };

  /** Those images that are still there and still wanted. */
  async function claimImages(ids: string[]): Promise<Map<string, Uint8Array>> {
    const [canceled, images] = await Promise.all([cancellations.find(ids), imageStore.get(ids)]);
    const claimed = ids.map((id, index) => [id, images[index]] as const);
    return new Map(
      claimed.filter(
        (entry): entry is [string, Uint8Array] => !!entry[1] && !canceled.has(entry[0]),
      ),
    );
  }

  function toResult({ takenAt }: TakenCheck, { assessment, timings }: AssessedImage): CheckResult {
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
  }
}
