import { createSecondsHistogram, recordSpan } from '@livegate/core';
import { context } from '@opentelemetry/api';

/** `claim` and `decode` are of one image; `detect` and `classify` of a run, with all of its images. */
export type Stage = 'claim' | 'decode' | 'detect' | 'classify';

export interface ObserveStages {
  /** Times work that succeeds, as a span of the active trace. */
  around<Result>(stage: Stage, work: () => Promise<Result>): Promise<Result>;
  /** For work that was timed in an engine's thread. */
  measured(stage: Stage, ms: number): void;
}

export function createObserveStages(): ObserveStages {
  const duration = createSecondsHistogram('livegate.stage.duration', {
    description: 'How long one stage of a check took.',
    fine: true,
  });
  const measured = (stage: Stage, ms: number) => duration.record(ms / 1000, { stage });

  return {
    async around(stage, work) {
      const startedAt = performance.now();
      const result = await work();
      const durationMs = performance.now() - startedAt;
      recordSpan(stage, { endedAt: Date.now(), durationMs, parent: context.active() });
      measured(stage, durationMs);
      return result;
    },
    measured,
  };
}
