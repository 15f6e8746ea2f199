/** Who gets which signal, by the names that the OTEL_* variables have for them. */
export interface Signals {
  traces: string[];
  metrics: string[];
}

/**
 * The standard says to export everything to a collector on this host unless told otherwise. Here
 * nothing is exported before a variable names an exporter, or where a collector is.
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
