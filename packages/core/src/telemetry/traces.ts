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
 * The identity of a span as text, to travel with a message: a JSON object of W3C trace context
 * headers, as other instrumentations of BullMQ write it. `undefined` where nothing is traced.
 *
 * Baggage is left out: it is the caller's, of any length, and may say who a person is.
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

/** `undefined` for what was not written by the above: a message is worth more than its trace. */
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

/** What a span says of a message, after the semantic conventions for messaging. */
export interface TracedMessage {
  /** BullMQ, or a Redis stream. */
  system: 'bullmq' | 'redis';
  /** The queue or the stream, by the name it has for everybody. */
  destination: string;
  /** Of the check or the delivery. */
  id: string;
}

/** Sends a message as a span of the active trace; its `carrier` is to travel with the message. */
export function traceSend<Result>(
  message: TracedMessage,
  send: (carrier: string | undefined) => Promise<Result>,
): Promise<Result> {
  const span = startMessageSpan('send', message, context.active());
  return runInSpan(span, () => send(writeCarrier(span.spanContext())));
}

/** Handles a message that was just read, in the trace of who sent it. */
export function traceReceive({ carrier, ...message }: ReceivedMessage, handle: () => void): void {
  const span = startMessageSpan('receive', message, continueTrace(carrier));
  try {
    context.with(trace.setSpan(ROOT_CONTEXT, span), handle);
  } finally {
    span.end();
  }
}

export interface ReceivedMessage extends TracedMessage {
  /** That came with it, if it is traced. */
  carrier: string | undefined;
}

/** As BullMQ has it; only take-jobs and take-deliveries know that. */
export interface TracedJob {
  id?: string | undefined;
  opts: { telemetry?: { metadata?: string } };
}

export type TraceProcess = <Result>(
  job: TracedJob,
  process: () => Promise<Result>,
) => Promise<Result>;

/** Processes the jobs of one queue, each in the trace of who sent it, and measures how long it takes. */
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

/** Where the trace of a message goes on; a new trace begins there if it has none. */
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

/** What all messages of one destination have in common. */
function describeMessages(operation: Operation, message: Omit<TracedMessage, 'id'>) {
  return {
    'messaging.system': message.system,
    'messaging.destination.name': message.destination,
    'messaging.operation.name': operation,
  };
}
