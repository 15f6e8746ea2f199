import { type Attributes, metrics } from '@opentelemetry/api';
import {
  DataPointType,
  type Histogram,
  MeterProvider,
  MetricReader,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import type { Distribution } from '../domain/operation/monitoring.js';
import { type Measurements, mergeDistributions, nameOf } from './measurements.js';

/** Reads the instruments of this process, beside the readers that export them. */
export class SampleReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}

  async measure(): Promise<Measurements> {
    const { resourceMetrics } = await this.collect();
    return toMeasurements(resourceMetrics);
  }
}

/** The only reader, where nothing is exported. */
export function openSampleReader() {
  const reader = new SampleReader();
  const provider = new MeterProvider({ readers: [reader] });
  metrics.setGlobalMeterProvider(provider);
  return { reader, shutdown: () => provider.shutdown() };
}

const REQUESTS = 'http.server.request.duration';
const CHECKS_ROUTE = '/face/v1/passive-liveness';
/** Requests that are not callers': probes, and the pages of operators. */
const operatorRoutes = /^\/(livez|readyz|console|operator)/;

/**
 * Livegate's own metrics, without counters that are 0. Of the requests, only what the console shows:
 * `requests` counts them by outcome, `checks` has the durations of checks that got a verdict, of all
 * verdicts together.
 */
export function toMeasurements({ scopeMetrics }: ResourceMetrics): Measurements {
  const into: Measurements = { values: {}, distributions: {} };
  for (const metric of scopeMetrics.flatMap((scope) => scope.metrics)) {
    const { name } = metric.descriptor;
    if (name === REQUESTS && metric.dataPointType === DataPointType.HISTOGRAM) {
      for (const { attributes, value } of metric.dataPoints) addRequests(into, attributes, value);
    }
    if (!name.startsWith('livegate.')) continue;
    if (metric.dataPointType === DataPointType.HISTOGRAM) {
      for (const { attributes, value } of metric.dataPoints) {
        addDistribution(into, nameOf(name, attributes), value);
      }
    } else if (metric.dataPointType === DataPointType.GAUGE) {
      for (const { attributes, value } of metric.dataPoints) {
        into.values[nameOf(name, attributes)] = value;
      }
    } else if (metric.dataPointType === DataPointType.SUM) {
      for (const { attributes, value } of metric.dataPoints) {
        addCount(into, nameOf(name, attributes), value);
      }
    }
  }
  return into;
}

function addRequests(into: Measurements, attributes: Attributes, value: Histogram): void {
  const route = String(attributes['http.route'] ?? '');
  if (route === '' || operatorRoutes.test(route)) return;
  addCount(into, nameOf('requests', { outcome: attributes['outcome'] }), value.count);
  const isVerdict = attributes['http.response.status_code'] === 200;
  const isCheck = route === CHECKS_ROUTE && attributes['http.request.method'] === 'POST';
  if (isCheck && isVerdict) addDistribution(into, 'checks', value);
}

function addCount({ values }: Measurements, name: string, value: number): void {
  if (value !== 0) values[name] = (values[name] ?? 0) + value;
}

function addDistribution({ distributions }: Measurements, name: string, value: Histogram): void {
  if (value.count === 0) return;
  const { boundaries, counts } = value.buckets;
  const buckets = counts.map((count, index): Distribution['buckets'][number] => [
    boundaries[index - 1] ?? null,
    boundaries[index] ?? null,
    count,
  ]);
  const filled = { sum: value.sum ?? 0, buckets: buckets.filter(([, , count]) => count > 0) };
  const known = distributions[name];
  distributions[name] = known ? mergeDistributions([known, filled]) : filled;
}
