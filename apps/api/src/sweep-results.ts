import type { Log } from '@livegate/core';

const SWEEP_MS = 60_000;

/**
 * Removes results that have lived their time, until stopped. BullMQ does so only when another job of
 * the same kind ends, which on a quiet day may be never. Every gateway sweeps; it does no harm.
 */
export function sweepResults(queue: { sweep(): Promise<void> }, log: Log): { close(): void } {
  const sweep = () =>
    queue.sweep().catch((error: unknown) => log.warn({ err: error }, 'sweeping results failed'));
  const timer = setInterval(() => void sweep(), SWEEP_MS);
  return { close: () => clearInterval(timer) };
}
