import { z } from 'zod';
import { integer, type ConfigRule } from '../runtime/read-config.js';
import { readList, readSignals } from './read-signals.js';

/** The standard's default. */
export const DEFAULT_SCRAPE_PORT = 9464;

const protocol = z.enum(['http/protobuf', 'http/json', 'grpc']).optional();

const exporting = {
  OTEL_METRICS_EXPORTER: listOf(['otlp', 'prometheus', 'console', 'none']).optional(),
  OTEL_EXPORTER_PROMETHEUS_PORT: integer(0).max(65_535).optional(),
};

/** What the SDK would notice only later, or never: it falls back to a default. */
export const telemetryRule: ConfigRule = z.object({
  ...exporting,
  OTEL_TRACES_EXPORTER: listOf(['otlp', 'zipkin', 'console', 'none']).optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: protocol,
  OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: protocol,
  OTEL_METRIC_EXPORT_INTERVAL: integer(1).optional(),
  OTEL_METRIC_EXPORT_TIMEOUT: integer(1).optional(),
});

/** The process listens at the port in variable `key`, and at another one for Prometheus. */
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
