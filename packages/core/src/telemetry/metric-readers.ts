import { OTLPMetricExporter as GrpcExporter } from '@opentelemetry/exporter-metrics-otlp-grpc';
import { OTLPMetricExporter as JsonExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as ProtobufExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { metrics } from '@opentelemetry/sdk-node';
import { MAX_TIMER_MS } from '../runtime/read-config.js';
import { DEFAULT_SCRAPE_PORT } from './read-signals.js';

/** Defaults of the OpenTelemetry specification. */
const EXPORT_INTERVAL_MS = 60_000;
const EXPORT_TIMEOUT_MS = 30_000;
const PROMETHEUS_HOST = '127.0.0.1';

/**
 * Opens the readers that NodeSDK would open by itself, with one difference: Prometheus names end
 * with their unit. Rejects when the Prometheus port is in use.
 */
export function openMetricReaders(
  exporters: string[],
  env: NodeJS.ProcessEnv,
): Promise<metrics.IMetricReader[]> {
  return Promise.all(exporters.map((exporter) => openMetricReader(exporter, env)));
}

async function openMetricReader(
  exporter: string,
  env: NodeJS.ProcessEnv,
): Promise<metrics.IMetricReader> {
  switch (exporter) {
    case 'prometheus':
      return openPrometheus(env);
    case 'otlp':
      return readPeriodically(createOtlpExporter(env), env);
    case 'console':
      return readPeriodically(new metrics.ConsoleMetricExporter(), env);
    default:
      throw new Error(
        `OTEL_METRICS_EXPORTER: otlp, prometheus, console or none, not "${exporter}"`,
      );
  }
}

async function openPrometheus(env: NodeJS.ProcessEnv): Promise<metrics.IMetricReader> {
  const host = env['OTEL_EXPORTER_PROMETHEUS_HOST'] || PROMETHEUS_HOST;
  const port = Number(env['OTEL_EXPORTER_PROMETHEUS_PORT']) || DEFAULT_SCRAPE_PORT;
  const { promise: listening, resolve, reject } = withResolvers();
  const reader = new PrometheusExporter({ host, port }, (error) =>
    error ? reject(error) : resolve(),
  );
  await listening;
  const collect = reader.collect.bind(reader);
  reader.collect = async (options) => {
    const { errors, resourceMetrics } = await collect(options);
    return { errors, resourceMetrics: addUnits(resourceMetrics) };
  };
  return reader;
}

/** `Promise.withResolvers`, which Node 20 does not have. */
function withResolvers() {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((...settle) => ([resolve, reject] = settle));
  return { promise, resolve, reject };
}

function readPeriodically(exporter: metrics.PushMetricExporter, env: NodeJS.ProcessEnv) {
  const intervalMs = Number(env['OTEL_METRIC_EXPORT_INTERVAL']) || EXPORT_INTERVAL_MS;
  const exportIntervalMillis = Math.min(intervalMs, MAX_TIMER_MS);
  const timeoutMs = Number(env['OTEL_METRIC_EXPORT_TIMEOUT']) || EXPORT_TIMEOUT_MS;
  const exportTimeoutMillis = Math.min(timeoutMs, exportIntervalMillis);
  return new metrics.PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis,
    exportTimeoutMillis,
  });
}

/** The exporters read addresses, headers and other settings from the environment. */
function createOtlpExporter(env: NodeJS.ProcessEnv): metrics.PushMetricExporter {
  const protocol =
    env['OTEL_EXPORTER_OTLP_METRICS_PROTOCOL'] ||
    env['OTEL_EXPORTER_OTLP_PROTOCOL'] ||
    'http/protobuf';
  switch (protocol.trim()) {
    case 'http/protobuf':
      return new ProtobufExporter();
    case 'http/json':
      return new JsonExporter();
    case 'grpc':
      return new GrpcExporter();
    default:
      throw new Error(
        `OTEL_EXPORTER_OTLP_PROTOCOL: http/protobuf, http/json or grpc, not "${protocol}"`,
      );
  }
}

/** Unit names of OpenTelemetry's Prometheus compatibility specification, for the units in use. */
const words = new Map([
  ['s', 'seconds'],
  ['ms', 'milliseconds'],
  ['By', 'bytes'],
]);

/**
 * Appends the unit to each name, as the OpenTelemetry collector and Prometheus's OTLP receiver do.
 * The SDK's exporter does not, and one dashboard must read the metrics of all three.
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

/** A unit in braces names what is counted and is not appended. */
export function addUnit(metric: { name: string; unit: string }, isGauge: boolean): string {
  const word = metric.unit === '1' && isGauge ? 'ratio' : words.get(metric.unit);
  if (word === undefined || metric.name.endsWith(word)) return metric.name;
  return `${metric.name}_${word}`;
}
