import { setTimeout as sleep } from 'node:timers/promises';
import { hasSignals, readSignals } from './read-signals.js';
import type { Measurements } from './measurements.js';
import type { TelemetryOptions } from './open-sdk.js';

/**
 * Time limit of the last export, which is a few kilobytes: a dead collector must not delay the
 * exit.
 */
const FLUSH_MS = 3000;

export interface Telemetry {
  /** Reads the metrics of this process, for the operators' console; needs `publishesSamples`. */
  measure?: () => Promise<Measurements>;
  /** Exports what is left. Never rejects, and takes 3 s at most. */
  close(): Promise<void>;
}

/**
 * Exports traces and metrics if the OTEL_* variables ask for it. Otherwise the SDK of Node is not
 * loaded; with `publishesSamples`, the one for metrics is. With neither, the OpenTelemetry API records
 * nothing.
 *
 * Await it before creating instruments. Rejects when the Prometheus port is in use.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { env, log, publishesSamples } = options;
  const signals = readSignals(env);
  const isExported = hasSignals(signals);
  if (!isExported && !publishesSamples) return { close: async () => undefined };
  const { openSampleReader, SampleReader } = await import('./sample-reader.js');
  if (!isExported) {
    const { reader, shutdown } = openSampleReader();
    return { measure: () => reader.measure(), close: shutdown };
  }
  const { openSdk } = await import('./open-sdk.js');
  const reader = publishesSamples ? new SampleReader() : undefined;
  const sdk = await openSdk(signals, { ...options, reader });
  log.info({ ...signals }, 'telemetry started');
  return {
    ...(reader && { measure: () => reader.measure() }),
    async close() {
      const flushed = sdk
        .shutdown()
        .catch((error: unknown) => log.warn({ err: error }, 'last telemetry export failed'));
      await Promise.race([flushed, sleep(FLUSH_MS, undefined, { ref: false })]);
    },
  };
}
