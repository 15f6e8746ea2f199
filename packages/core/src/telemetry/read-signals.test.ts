import { describe, expect, it } from 'vitest';
import { hasSignals, readSignals } from './read-signals.js';

const collector = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

describe('readSignals', () => {
  it('exports nothing by default', () => {
    expect(readSignals({})).toEqual({ traces: [], metrics: [] });
    expect(hasSignals(readSignals({ OTEL_SERVICE_NAME: 'gateway' }))).toBe(false);
    expect(hasSignals(readSignals({ OTEL_TRACES_EXPORTER: ' ' }))).toBe(false);
  });

  it('exports both signals to a configured collector', () => {
    expect(readSignals(collector)).toEqual({ traces: ['otlp'], metrics: ['otlp'] });
    expect(hasSignals(readSignals(collector))).toBe(true);
    expect(hasSignals(readSignals({ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }))).toBe(false);
  });

  it('exports only the signal that has an endpoint', () => {
    const env = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4318/v1/traces' };
    expect(readSignals(env)).toEqual({ traces: ['otlp'], metrics: [] });
  });

  it('exports no traces when only Prometheus is named', () => {
    const env = { OTEL_METRICS_EXPORTER: 'prometheus' };
    expect(readSignals(env)).toEqual({ traces: [], metrics: ['prometheus'] });
  });

  it('reads several exporters, and none', () => {
    const env = { OTEL_METRICS_EXPORTER: 'prometheus, otlp,otlp', OTEL_TRACES_EXPORTER: 'none' };
    expect(readSignals({ ...collector, ...env })).toEqual({
      traces: [],
      metrics: ['prometheus', 'otlp'],
    });
  });

  it.each(['true', ' TRUE '])('is off when OTEL_SDK_DISABLED is %j', (OTEL_SDK_DISABLED) => {
    expect(hasSignals(readSignals({ ...collector, OTEL_SDK_DISABLED }))).toBe(false);
  });
});
