import { CHECK_QUEUE, getTracer, recordSpan } from '@livegate/core';
import {
  SpanKind,
  trace,
  TraceFlags,
  type Context,
  type Link,
  type Span,
} from '@opentelemetry/api';
import type { AssessedPicture } from '../engine/assess-pictures.js';

/** The span of a run, and in whose trace it is. */
export interface RunSpan {
  span: Span;
  owner: Context;
}

/**
 * A run has many traces and a span has one: that of its first check that is sampled. It links the
 * spans of all of its checks, and those of other traces link it.
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
 * What the engine's thread measured, as spans in the trace of every check of the run. The thread told
 * how long the stages took but not when: they end with the run.
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
