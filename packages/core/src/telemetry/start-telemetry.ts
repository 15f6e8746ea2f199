import { setTimeout as sleep } from 'node:timers/promises';
import { hasSignals, readSignals } from './read-signals.js';
import type { TelemetryOptions } from './open-sdk.js';

/** What is left to send when a process ends is a few kilobytes; a dead collector gets no more time. */
const FLUSH_MS = 3000;

export interface Telemetry {
  /** Sends what is left. Never rejects, and takes 3 s at most. */
  close(): Promise<void>;
}

/**
 * Exports traces and metrics if the OTEL_* variables say so. If they do not, the SDK is not even
 * loaded, and all that the code records goes nowhere, by the API's own no-ops.
 *
 * Await it before anything else is created. Rejects when the port for Prometheus is taken.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { env, log } = options;
  const signals = readSignals(env);
  if (!hasSignals(signals)) return { close: async () => undefined };
  const { openSdk } = await import('./open-sdk.js');
  const sdk = await openSdk(signals, options);
  log.info({ ...signals }, 'telemetry is on');
  return {
    async close() {
      const flushed = sdk
        .shutdown()
        .catch((error: unknown) => log.warn({ err: error }, 'the last telemetry is lost'));
      await Promise.race([flushed, sleep(FLUSH_MS, undefined, { ref: false })]);
    },
  };
}
