import { createTraceState, INVALID_SPAN_CONTEXT, TraceFlags } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { readCarrier, writeCarrier } from './traces.js';

const span = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  traceFlags: TraceFlags.SAMPLED,
};

describe('a trace that travels with a message', () => {
  it('is written as W3C trace context', () => {
    expect(JSON.parse(writeCarrier(span) ?? '')).toEqual({
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
  });

  it('is read back unchanged, with its state and sampling flag', () => {
    const traceState = createTraceState('vendor=value');
    const arrived = readCarrier(writeCarrier({ ...span, traceFlags: TraceFlags.NONE, traceState }));
    expect(arrived).toMatchObject({ ...span, traceFlags: TraceFlags.NONE, isRemote: true });
    expect(arrived?.traceState?.serialize()).toBe('vendor=value');
  });

  it('is undefined without tracing', () => {
    expect(writeCarrier(INVALID_SPAN_CONTEXT)).toBeUndefined();
    expect(readCarrier(undefined)).toBeUndefined();
  });

  it.each(['', 'text', 'null', '7', '{}', '{"traceparent":7}', '{"traceparent":"00-0-0-0"}'])(
    'is ignored when it reads %j',
    (carrier) => {
      expect(readCarrier(carrier)).toBeUndefined();
    },
  );
});
