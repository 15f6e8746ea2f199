import { createTraceState, isSpanContextValid, type SpanContext } from '@opentelemetry/api';

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
