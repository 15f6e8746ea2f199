import {
  context,
  type Context,
  createTraceState,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import { LivegateError, readRefusal } from '../domain/errors.js';
import { createSecondsHistogram } from './instruments.js';

/**
 * A span's context as text for a message: a JSON object of W3C trace context headers, as other
 * instrumentations of BullMQ write it. `undefined` for an invalid context, that is without tracing.
 *
 * Without baggage: the caller's baggage has any length and may identify a person.
 */
export function writeCarrier(span: SpanContext): string | undefined {
  if (!isSpanContextValid(span)) return undefined;
  const flags = span.traceFlags.toString(16).padStart(2, '0');
  const tracestate = span.traceState?.serialize();
  return JSON.stringify({
    traceparent: `00-${span.traceId}-${span.spanId}-${flags}`,
    ...(tracestate && { tracestate }),
  });
}

const traceparentPattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** `undefined` for a malformed carrier: the message is processed all the same. */
export function readCarrier(carrier: string | undefined): SpanContext | undefined {
  const { traceparent, tracestate } = parse(carrier);
  const [, traceId = '', spanId = '', flags = ''] =
    traceparentPattern.exec(traceparent ?? '') ?? [];
  const span = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(tracestate && { traceState: createTraceState(tracestate) }),
  };
  return isSpanContextValid(span) ? span : undefined;
}

function parse(carrier = '{}'): { traceparent?: string; tracestate?: string } {
  try {
    const { traceparent, tracestate } = JSON.parse(carrier) as Record<string, unknown>;
    return { ...asText({ traceparent }), ...asText({ tracestate }) };
  } catch {
    return {};
  }
}

function asText(field: Record<string, unknown>): Record<string, string> {
  const texts = Object.entries(field).filter(([, value]) => typeof value === 'string');
  return Object.fromEntries(texts) as Record<string, string>;
}

/** Uses the OpenTelemetry API only: without a started SDK, spans are no-ops. */
export function getTracer(): Tracer {
  return trace.getTracer('livegate');
}

/** Runs the work in a span of the active trace, and ends the span. */
export function traceWork<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  return runInSpan(getTracer().startSpan(name), work);
}

/** Runs the work with the span active, and ends the span with the work. */
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

/** A code or an error's class, never a message, which may quote data. */
export function errorTypeOf(error: unknown): string {
  if (error instanceof LivegateError) return error.code;
  if (!(error instanceof Error)) return '_OTHER';
  const { error: code } = readRefusal(error.message);
  return code === 'internal_error' && error.message !== code ? error.name : code;
}

/** Trace and span id for a log line; empty without tracing. */
export function describeTrace(span: SpanContext | undefined): Record<string, string> {
  if (!span || !trace.isSpanContextValid(span)) return {};
  return { trace_id: span.traceId, span_id: span.spanId };
}

/** Work that has ended, and was measured elsewhere. */
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

/** The facts of a message for its span, by the semantic conventions for messaging. */
export interface TracedMessage {
  /** BullMQ, or a Redis stream. */
  system: 'bullmq' | 'redis';
  /** Name of the queue or stream; one for all gateways. */
  destination: string;
  /** Of the check or the delivery. */
  id: string;
}

/** Sends a message in a span of the active trace. `send` must add the carrier to the message. */
export function traceSend<Result>(
  message: TracedMessage,
  send: (carrier: string | undefined) => Promise<Result>,
): Promise<Result> {
  const span = startMessageSpan('send', message, context.active());
  return runInSpan(span, () => send(writeCarrier(span.spanContext())));
}

/** Handles a received message in its sender's trace. */
export function traceReceive({ carrier, ...message }: ReceivedMessage, handle: () => void): void {
  const span = startMessageSpan('receive', message, continueTrace(carrier));
  try {
    context.with(trace.setSpan(ROOT_CONTEXT, span), handle);
  } finally {
    span.end();
  }
}

export interface ReceivedMessage extends TracedMessage {
  /** The carrier of the message; `undefined` if it is not traced. */
  carrier: string | undefined;
}

/** The part of a BullMQ job that carries the trace context. */
export interface TracedJob {
  id?: string | undefined;
  opts: { telemetry?: { metadata?: string } };
}

export type TraceProcess = <Result>(
  job: TracedJob,
  process: () => Promise<Result>,
) => Promise<Result>;

/** Processes each job of one queue in its sender's trace, and records the duration. */
export function createTraceProcess(queue: Omit<TracedMessage, 'id'>): TraceProcess {
  const duration = createSecondsHistogram('messaging.process.duration', {
    description: 'How long the processing of one message took.',
  });
  const facts = describeMessages('process', queue);

  return async (job, process) => {
    const startedAt = performance.now();
    const message = { ...queue, id: job.id ?? '' };
    const span = startMessageSpan('process', message, continueJobsTrace(job));
    let failure = {};
    try {
      return await runInSpan(span, process);
    } catch (error) {
      failure = { 'error.type': errorTypeOf(error) };
      throw error;
    } finally {
      duration.record((performance.now() - startedAt) / 1000, { ...facts, ...failure });
    }
  };
}

export function continueJobsTrace({ opts }: TracedJob): Context {
  return continueTrace(opts.telemetry?.metadata);
}

/**
 * The context of a message's sender; without a carrier, the root context, which starts a new trace.
 */
function continueTrace(carrier: string | undefined): Context {
  const sender = readCarrier(carrier);
  return sender ? trace.setSpanContext(ROOT_CONTEXT, sender) : ROOT_CONTEXT;
}

const kinds = { send: SpanKind.PRODUCER, receive: SpanKind.CONSUMER, process: SpanKind.CONSUMER };

type Operation = keyof typeof kinds;

function startMessageSpan(operation: Operation, message: TracedMessage, parent: Context) {
  const attributes = {
    ...describeMessages(operation, message),
    'messaging.operation.type': operation,
    'messaging.message.id': message.id,
  };
  const name = `${operation} ${message.destination}`;
  return getTracer().startSpan(name, { kind: kinds[operation], attributes }, parent);
}

/** Attributes that all messages of a destination share. */
function describeMessages(operation: Operation, message: Omit<TracedMessage, 'id'>) {
  return {
    'messaging.system': message.system,
    'messaging.destination.name': message.destination,
    'messaging.operation.name': operation,
  };
}
