import type { Log, RedisCheckQueue } from '@livegate/core';

const SWEEP_MS = 60_000;
const HASTEN_MS = 5000;

/**
 * What somebody has to do for the queue from time to time, until stopped. Every gateway does it; once or
 * several times is the same.
 */
export function tendQueue(
  queue: Pick<RedisCheckQueue, 'sweep' | 'hastenOld'>,
  log: Log,
): { close(): void } {
  const timers = [
    // BullMQ removes old results only when another job of their kind ends: on a quiet day, never.
    repeat(queue.sweep, SWEEP_MS, (error) => log.warn({ err: error }, 'sweeping results failed')),
    // The next time comes soon, and a Redis that is away reports itself.
    repeat(queue.hastenOld, HASTEN_MS, (error) => log.debug({ err: error }, 'hastening failed')),
  ];
  return { close: () => timers.forEach((timer) => clearInterval(timer)) };
}

function repeat(work: () => Promise<void>, everyMs: number, fail: (error: unknown) => void) {
  return setInterval(() => void work().catch(fail), everyMs);
}
