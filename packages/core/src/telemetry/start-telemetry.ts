import { setTimeout as sleep } from 'node:timers/promises';
import { hasSignals, readSignals } from './read-signals.js';
import type { TelemetryOptions } from './open-sdk.js';

/**
 * Time limit of the last export, which is a few kilobytes: a dead collector must not delay the
 * exit.
 */
const FLUSH_MS = 3000;

export interface Telemetry {
  /** Exports what is left. Never rejects, and takes 3 s at most. */
  close(): Promise<void>;
}

/**
 * Exports traces and metrics if the OTEL_* variables ask for it. Otherwise the SDK is not loaded,
 * and the OpenTelemetry API records nothing.
 *
 * Await it before creating instruments. Rejects when the Prometheus port is in use.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { env, log } = options;
  const signals = readSignals(env);
  if (!hasSignals(signals)) return { close: async () => undefined };
  const { openSdk } = await import('./open-sdk.js');
  const sdk = await openSdk(signals, options);
  log.info({ ...signals }, 'telemetry started');
  return {
    async close() {
      const flushed = sdk
        .shutdown()
        .catch((error: unknown) => log.warn({ err: error }, 'last telemetry export failed'));
      await Promise.race([flushed, sleep(FLUSH_MS, undefined, { ref: false })]);
    },
  };
}
