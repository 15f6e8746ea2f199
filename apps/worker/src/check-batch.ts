import {
  decideVerdict,
  describeModels,
  LivegateError,
  roundMs,
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
}

export interface CheckBatchDeps {
  imageStore: ImageStore;
  pipeline: Pipeline;
  cutPoints: CutPoints;
}

/** From ids to verdicts: claims the images of a batch, has them assessed, decides. */
export function createCheckBatch(deps: CheckBatchDeps): RunBatch<TakenCheck, CheckResult> {
  const { imageStore, pipeline, cutPoints } = deps;
  const model = describeModels(pipeline.models);

  return async (checks) => {
    const images = await imageStore.get(checks.map(({ id }) => id));
    const claimed = checks.filter((_, index) => images[index] !== undefined);
    const assessed = await pipeline.assess(images.filter((image) => image !== undefined));
    const byId = new Map(claimed.map(({ id }, index) => [id, assessed[index]]));
    return checks.map((check) => {
      const outcome = byId.get(check.id) ?? new LivegateError('image_expired');
      return outcome instanceof LivegateError ? outcome : toResult(check, outcome);
    });
  };

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
