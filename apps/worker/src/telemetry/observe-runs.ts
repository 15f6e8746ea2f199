import { CHECK_QUEUE } from '@livegate/core/ports';
import {
  createBatchSizeHistogram,
  createSecondsHistogram,
  getMeter,
  getTracer,
  type Log,
  recordSpan,
  runInSpan,
} from '@livegate/core/telemetry';
import {
  context,
  type Context,
  type Link,
  type Span,
  SpanKind,
  trace,
  TraceFlags,
} from '@opentelemetry/api';
import type { AssessedRun } from '../engine/open-engine.js';
import type { AssessedPicture } from '../inference/pipeline.js';
import { watchSpeed } from './watch-speed.js';

/** What telemetry needs of an image in a batch. */
export interface TracedImage {
  /** The trace context of its check. */
  check: Context;
  /** `performance.now()` when it was decoded. */
  queuedAt: number;
}

export interface ObserveRuns {
  /** Traces and measures one run. */
  around(images: TracedImage[], run: () => Promise<AssessedRun>): Promise<AssessedRun>;
}

/** Observes runs from the main thread: the threads of the engines have no telemetry. */
export function createObserveRuns(log: Log): ObserveRuns {
  const speed = watchSpeed(log);
  const stages = createObserveStages();
  const batchSize = createBatchSizeHistogram('livegate.batch.size', 'Images in one run.');
  const linger = createSecondsHistogram('livegate.batch.linger.duration', {
    description: 'How long the oldest image of a batch waited for other images and for an engine.',
    fine: true,
  });
  const busy = getMeter().createCounter('livegate.engine.busy.time', {
    description:
      'Time that engines spent in runs; its rate divided by the number of engines is the utilization.',
    unit: 's',
  });
  busy.add(0);

  return {
    around(images, run) {
      batchSize.record(images.length);
      const checks = images.map(({ check }) => check);
      const runSpan = startRunSpan(checks);
      return runInSpan(runSpan.span, async () => {
        const result = await run();
        const oldest = Math.min(...images.map(({ queuedAt }) => queuedAt));
        const passedMs = performance.now() - oldest;
        linger.record((passedMs - result.runMs) / 1000);
        busy.add(result.runMs / 1000);
        if (result.modelTime) speed.ran(result.modelTime);
        recordRunStages(runSpan, checks, result.answers);
        measureStages(result, stages);
        return result;
      });
    },
  };
}

/** The images of a run share its timings, unless the run failed and each image ran alone. */
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

/** The engines of the current model set, which a swap replaces. */
export interface ObservedEngines {
  countEngines(): number;
  /** Milliseconds since the start of the longest present run; 0 without a run. */
  longestRunMs(): number;
}

export function observeEngines({ countEngines, longestRunMs }: ObservedEngines): void {
  const meter = getMeter();
  meter
    .createObservableGauge('livegate.engine.count', {
      description: 'Engines of the current models; each runs one batch at a time.',
      unit: '{engine}',
    })
    .addCallback((observe) => observe.observe(countEngines()));
  meter
    .createObservableGauge('livegate.engine.run.age', {
      description: 'Time since the longest present run began; 0 without a run.',
      unit: 's',
    })
    .addCallback((observe) => observe.observe(longestRunMs() / 1000));
}

/** `claim` and `decode` concern one image; `detect` and `classify` the whole batch. */
export type Stage = 'claim' | 'decode' | 'detect' | 'classify';

export interface ObserveStages {
  /** Records the duration of successful work, and a span in the active trace. */
  around<Result>(stage: Stage, work: () => Promise<Result>): Promise<Result>;
  /** Records a duration that an engine's thread measured. */
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

/** The span of a run, and the check in whose trace it is. */
export interface RunSpan {
  span: Span;
  owner: Context;
}

/**
 * Starts the span of a run in the trace of its first sampled check. The span links the spans of all
 * its checks, and the spans of the other checks link it.
 */
export function startRunSpan(checks: Context[]): RunSpan {
  const owner = checks.find(isSampled) ?? checks[0]!;
  const options = {
    kind: SpanKind.CONSUMER,
    links: checks.flatMap(linkTo),
    attributes: {
      'messaging.system': 'bullmq',
      'messaging.destination.name': CHECK_QUEUE,
      'messaging.operation.name': 'process_batch',
      'messaging.operation.type': 'process',
      'messaging.batch.message_count': checks.length,
    },
  };
  const span = getTracer().startSpan(`process_batch ${CHECK_QUEUE}`, options, owner);
  for (const check of checks) {
    if (check !== owner) trace.getSpan(check)?.addLink({ context: span.spanContext() });
  }
  return { span, owner };
}

/**
 * Records the engine's stages as spans in the trace of each check. The engine's thread reports
 * durations, not times, so the last stage ends now, with the run.
 */
export function recordRunStages(
  { span, owner }: RunSpan,
  checks: Context[],
  answers: (AssessedPicture | Error)[],
): void {
  const endedAt = Date.now();
  for (const [index, check] of checks.entries()) {
    const answer = answers[index];
    if (!answer || answer instanceof Error) continue;
    const parent = check === owner ? trace.setSpan(owner, span) : check;
    const { detectMs, classifyMs } = answer.timings;
    recordSpan('detect', { endedAt: endedAt - classifyMs, durationMs: detectMs, parent });
    if (answer.assessment.kind === 'scored') {
      recordSpan('classify', { endedAt, durationMs: classifyMs, parent });
    }
  }
}

function isSampled(check: Context): boolean {
  const flags = trace.getSpanContext(check)?.traceFlags ?? TraceFlags.NONE;
  return (flags & TraceFlags.SAMPLED) !== 0;
}

function linkTo(check: Context): Link[] {
  const span = trace.getSpanContext(check);
  return span ? [{ context: span }] : [];
}
