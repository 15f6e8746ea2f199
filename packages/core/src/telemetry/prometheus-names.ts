import { metrics } from '@opentelemetry/sdk-node';

/** The words of the Prometheus compatibility specification, for the units that occur here. */
const words = new Map([
  ['s', 'seconds'],
  ['ms', 'milliseconds'],
  ['By', 'bytes'],
]);

/**
 * Names as every other way to Prometheus makes them, be it a collector or Prometheus's own OTLP
 * receiver: with the unit at the end. The exporter of the SDK leaves it out, and one dashboard could
 * not read both.
 */
export function addUnits(collected: metrics.ResourceMetrics): metrics.ResourceMetrics {
  return {
    ...collected,
    scopeMetrics: collected.scopeMetrics.map((scope) => ({
      ...scope,
      metrics: scope.metrics.map((metric) => {
        const isGauge = metric.dataPointType === metrics.DataPointType.GAUGE;
        const name = addUnit(metric.descriptor, isGauge);
        return { ...metric, descriptor: { ...metric.descriptor, name } };
      }),
    })),
  };
}

/** A unit in braces says what is counted, and is no part of a name. */
export function addUnit(metric: { name: string; unit: string }, isGauge: boolean): string {
  const word = metric.unit === '1' && isGauge ? 'ratio' : words.get(metric.unit);
  if (word === undefined || metric.name.endsWith(word)) return metric.name;
  return `${metric.name}_${word}`;
}
