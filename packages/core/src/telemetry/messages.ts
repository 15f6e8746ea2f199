import { context, ROOT_CONTEXT, SpanKind, trace, type Context } from '@opentelemetry/api';
import { readCarrier, writeCarrier } from './carrier.js';
import { createSecondsHistogram } from './instruments.js';
import { errorTypeOf, getTracer, runInSpan } from './spans.js';

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
