import {
  createBatchSizeHistogram,
  createSecondsHistogram,
  getMeter,
  runInSpan,
} from '@livegate/core';
import { context, type Context } from '@opentelemetry/api';
import type { AssessedPicture } from '../engine/assess-pictures.js';
import type { AssessedRun } from '../engine/messages.js';
import type { Engines } from '../engine/open-engines.js';
import type { Picture } from '../stages/picture.js';
import { createObserveStages, type ObserveStages } from './observe-stages.js';
import { recordRunStages, startRunSpan } from './run-span.js';

/** An image on its way into a run. */
export interface QueuedImage {
  picture: Picture;
  /** Where the trace of its check goes on. */
  check: Context;
  /** `performance.now()` when it was ready to run. */
  queuedAt: number;
}

export interface ObserveRuns {
  /** For an image that is ready now, on behalf of the active trace. */
  enqueue(picture: Picture): QueuedImage;
  /** Traces and measures one run, whose images are in the order of their coming. */
  around(images: QueuedImage[], run: () => Promise<AssessedRun>): Promise<AssessedRun>;
}

/** The engines as the thread sees them that feeds them: theirs know nothing of telemetry. */
export function createObserveRuns(engines: Pick<Engines, 'layout' | 'longestRunMs'>): ObserveRuns {
  const stages = createObserveStages();
  const batchSize = createBatchSizeHistogram('livegate.batch.size', 'Images in one run.');
  const linger = createSecondsHistogram('livegate.batch.linger.duration', {
    description: 'How long the oldest image of a run waited for company and for an engine.',
    fine: true,
  });
  const busy = getMeter().createCounter('livegate.engine.busy.time', {
    description: 'Time that engines spent in runs: its rate, by their number, is the utilisation.',
    unit: 's',
  });
  busy.add(0);
  observeEngines(engines);

  return {
    enqueue: (picture) => ({ picture, check: context.active(), queuedAt: performance.now() }),
    around(images, run) {
      batchSize.record(images.length);
      const checks = images.map(({ check }) => check);
      const runSpan = startRunSpan(checks);
      return runInSpan(runSpan.span, async () => {
        const result = await run();
        const passedMs = performance.now() - images[0]!.queuedAt;
        linger.record((passedMs - result.runMs) / 1000);
        busy.add(result.runMs / 1000);
        recordRunStages(runSpan, checks, result.answers);
        measureStages(result, stages);
        return result;
      });
    },
  };
}

/** Images of one run share its timings; those of a broken one were taken one by one. */
function measureStages({ answers, broken }: AssessedRun, stages: ObserveStages): void {
  const assessed = answers.filter((answer): answer is AssessedPicture => 'assessment' in answer);
  for (const { timings } of broken ? assessed : assessed.slice(0, 1)) {
    stages.measured('detect', timings.detectMs);
  }
  const scored = assessed.filter(({ assessment }) => assessment.kind === 'scored');
  for (const { timings } of broken ? scored : scored.slice(0, 1)) {
    stages.measured('classify', timings.classifyMs);
  }
}

function observeEngines({ layout, longestRunMs }: Pick<Engines, 'layout' | 'longestRunMs'>): void {
  const meter = getMeter();
  meter
    .createObservableGauge('livegate.engine.count', {
      description: 'Engines of this worker, each doing one run at a time.',
      unit: '{engine}',
    })
    .addCallback((observe) => observe.observe(layout.engines));
  meter
    .createObservableGauge('livegate.engine.run.age', {
      description: 'How long the longest of the present runs has been going; 0 where none is.',
      unit: 's',
    })
    .addCallback((observe) => observe.observe(longestRunMs() / 1000));
}
