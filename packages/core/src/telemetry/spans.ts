import {
  context,
  SpanStatusCode,
  trace,
  type Context,
  type Span,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import { LivegateError, readRefusal } from '../domain/errors.js';

/** Everything here goes through the API alone: where no SDK was started, spans are nothing at all. */
export function getTracer(): Tracer {
  return trace.getTracer('livegate');
}

/** Does the work as a span of the active trace, and ends it. */
export function traceWork<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  return runInSpan(getTracer().startSpan(name), work);
}

/** Does the work with the span as the active one, and ends it when the work has ended. */
export async function runInSpan<Result>(span: Span, work: () => Promise<Result>): Promise<Result> {
  try {
    return await context.with(trace.setSpan(context.active(), span), work);
  } catch (error) {
    markFailed(span, errorTypeOf(error));
    throw error;
  } finally {
    span.end();
  }
}

export function markFailed(span: Span, errorType: string): void {
  span.setAttribute('error.type', errorType);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

/** One of a few words, never a message: that may quote what it is about. */
export function errorTypeOf(error: unknown): string {
  if (error instanceof LivegateError) return error.code;
  if (!(error instanceof Error)) return '_OTHER';
  const { error: code } = readRefusal(error.message);
  return code === 'internal_error' && error.message !== code ? error.name : code;
}

/** The ids that join a log line with its trace; nothing where nothing is traced. */
export function describeTrace(span: SpanContext | undefined): Record<string, string> {
  if (!span || !trace.isSpanContextValid(span)) return {};
  return { trace_id: span.traceId, span_id: span.spanId };
}

/** Work that was measured elsewhere, or before it was known what it belongs to. */
export interface PastWork {
  /** Milliseconds since the epoch. */
  endedAt: number;
  durationMs: number;
  parent: Context;
}

export function recordSpan(name: string, { endedAt, durationMs, parent }: PastWork): void {
  const startTime = endedAt - durationMs;
  getTracer().startSpan(name, { startTime }, parent).end(endedAt);
}
