import { exampleQuality } from '@livegate/testing';
import { context, type Context, ROOT_CONTEXT, trace, TraceFlags } from '@opentelemetry/api';
import { tracing } from '@opentelemetry/sdk-node';
import { afterEach, describe, expect, it } from 'vitest';
import { recordRunStages, startRunSpan } from './observe-runs.js';

const exporter = new tracing.InMemorySpanExporter();
const provider = new tracing.BasicTracerProvider({
  spanProcessors: [new tracing.SimpleSpanProcessor(exporter)],
});
trace.setGlobalTracerProvider(provider);
afterEach(() => exporter.reset());

const tracer = provider.getTracer('test');

/** Starts a check in its own trace. */
function startCheck(): Context {
  return trace.setSpan(ROOT_CONTEXT, tracer.startSpan('process liveness', {}, ROOT_CONTEXT));
}

/** Starts a check in a trace that its caller does not sample. */
function startUnsampledCheck(): Context {
  const caller = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: TraceFlags.NONE };
  return trace.setSpanContext(ROOT_CONTEXT, caller);
}

const idsOf = (check: Context) => trace.getSpanContext(check)!;
const finished = (name: string) => exporter.getFinishedSpans().filter((span) => span.name === name);

const timings = { detectMs: 20, classifyMs: 30 };
const scored = {
  assessment: {
    kind: 'scored' as const,
    spoofProbability: 0.5,
    logit: 0,
    views: [],
    rotation: 0 as const,
    quality: exampleQuality,
  },
  timings,
};
const noFace = { assessment: { kind: 'no_face' }, timings } as const;

describe('the span of a run', () => {
  it('links every check and has their number', () => {
    const checks = [startCheck(), startCheck(), startCheck()];
    startRunSpan(checks).span.end();
    const [run] = finished('process_batch liveness');
    expect(run?.links.map((link) => link.context.spanId)).toEqual(
      checks.map((check) => idsOf(check).spanId),
    );
    expect(run?.attributes['messaging.batch.message_count']).toBe(3);
  });

  it('is in the trace of its first check, and linked from the others', () => {
    const [first, second] = [startCheck(), startCheck()];
    const { span } = startRunSpan([first, second]);
    span.end();
    trace.getSpan(first)?.end();
    trace.getSpan(second)?.end();
    const [run] = finished('process_batch liveness');
    expect(run?.parentSpanContext?.spanId).toBe(idsOf(first).spanId);
    const links = finished('process liveness').map((check) =>
      check.links.map((l) => l.context.spanId),
    );
    expect(links).toEqual([[], [run?.spanContext().spanId]]);
  });

  it('is recorded when any of its checks is sampled', () => {
    const sampled = startCheck();
    startRunSpan([startUnsampledCheck(), sampled]).span.end();
    const [run] = finished('process_batch liveness');
    expect(run?.spanContext().traceId).toBe(idsOf(sampled).traceId);
  });

  it('is created without a trace', () => {
    const { span, owner } = startRunSpan([ROOT_CONTEXT, ROOT_CONTEXT]);
    span.end();
    expect(owner).toBe(ROOT_CONTEXT);
    expect(finished('process_batch liveness')[0]?.links).toEqual([]);
  });
});

describe('the stages of a run', () => {
  it('are recorded in the trace of each check, one after the other', () => {
    const checks = [startCheck(), startCheck()];
    const run = startRunSpan(checks);
    recordRunStages(run, checks, [scored, scored]);
    const parents = (name: string) => finished(name).map((span) => span.parentSpanContext?.spanId);
    const expected = [run.span.spanContext().spanId, idsOf(checks[1]!).spanId];
    expect(parents('detect')).toEqual(expected);
    expect(parents('classify')).toEqual(expected);
    const [detect] = finished('detect');
    const [classify] = finished('classify');
    expect(detect?.endTime).toEqual(classify?.startTime);
    expect(classify?.duration[1]).toBeCloseTo(30e6, -5);
  });

  it('leave out stages that a check did not reach', () => {
    const checks = [startCheck(), startCheck()];
    recordRunStages(startRunSpan(checks), checks, [noFace, new Error('broken')]);
    expect(finished('detect')).toHaveLength(1);
    expect(finished('classify')).toEqual([]);
  });
});

it('the span of a run is in the trace of its check, not in the active trace', () => {
  const other = startCheck();
  const check = startCheck();
  context.with(other, () => startRunSpan([check]).span.end());
  expect(finished('process_batch liveness')[0]?.spanContext().traceId).toBe(idsOf(check).traceId);
});
