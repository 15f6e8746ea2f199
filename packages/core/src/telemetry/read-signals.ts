import { z } from 'zod';
import { type ConfigRule, integer } from '../runtime/read-config.js';

/** The exporters of each signal, by their names in the OTEL_* variables. */
export interface Signals {
  traces: string[];
  metrics: string[];
}

/**
 * OpenTelemetry exports everything to a collector on this host by default. Livegate exports nothing
 * unless a variable names an exporter or a collector's endpoint.
 */
export function readSignals(env: NodeJS.ProcessEnv): Signals {
  if (env['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true') return { traces: [], metrics: [] };
  return { traces: readExporters(env, 'TRACES'), metrics: readExporters(env, 'METRICS') };
}

export function hasSignals({ traces, metrics }: Signals): boolean {
  return traces.length + metrics.length > 0;
}

function readExporters(env: NodeJS.ProcessEnv, signal: 'TRACES' | 'METRICS'): string[] {
  const named = readList(env[`OTEL_${signal}_EXPORTER`]);
  if (named.length > 0) return named.includes('none') ? [] : named;
  const endpoint =
    env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`] || env['OTEL_EXPORTER_OTLP_ENDPOINT'];
  return endpoint?.trim() ? ['otlp'] : [];
}

/** A comma-separated list in the environment. */
export function readList(text = ''): string[] {
  const names = text.split(',').map((name) => name.trim());
  return [...new Set(names)].filter((name) => name !== '');
}

/** Default of the OpenTelemetry specification. */
export const DEFAULT_SCRAPE_PORT = 9464;

const protocol = z.enum(['http/protobuf', 'http/json', 'grpc']).optional();

const exporting = {
  OTEL_METRICS_EXPORTER: listOf(['otlp', 'prometheus', 'console', 'none']).optional(),
  OTEL_EXPORTER_PROMETHEUS_PORT: integer(0).max(65_535).optional(),
};

/**
 * Checks settings whose mistakes the SDK reports late or never, because it uses a default instead.
 */
export const telemetryRule: ConfigRule = z.object({
  ...exporting,
  OTEL_TRACES_EXPORTER: listOf(['otlp', 'zipkin', 'console', 'none']).optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: protocol,
  OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: protocol,
  OTEL_METRIC_EXPORT_INTERVAL: integer(1).optional(),
  OTEL_METRIC_EXPORT_TIMEOUT: integer(1).optional(),
});

/** The port in variable `key` must not be the Prometheus port. */
export function scrapePortRule(key: string, port: z.ZodType<number | undefined>): ConfigRule {
  return z.object({ ...exporting, [key]: port }).superRefine((config, context) => {
    const signals = readSignals({ OTEL_METRICS_EXPORTER: config.OTEL_METRICS_EXPORTER });
    const scrapePort = config.OTEL_EXPORTER_PROMETHEUS_PORT ?? DEFAULT_SCRAPE_PORT;
    if (
      !signals.metrics.includes('prometheus') ||
      scrapePort !== (config as Record<string, unknown>)[key]
    )
      return;
    context.addIssue({
      code: 'custom',
      path: [key],
      message: `${scrapePort} is also where Prometheus scrapes: OTEL_EXPORTER_PROMETHEUS_PORT`,
    });
  });
}

function listOf(names: readonly string[]) {
  return z.string().refine((list) => readList(list).every((name) => names.includes(name)), {
    error: ({ input }) => `expected some of ${names.join(', ')}, not "${String(input)}"`,
  });
}
