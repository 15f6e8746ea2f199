import type { RedisCheckQueue } from '@livegate/core/redis';
import type { Log } from '@livegate/core/telemetry';
import type { DeleteCheck } from './end-check.js';

const SWEEP_MS = 60_000;
const PRIORITIZE_MS = 5000;
/** How long BullMQ's events outlive what a tenant deletes, and a score its retention. */
const EVENTS_MS = 1000;

export interface MaintainQueueDeps {
  queue: Pick<RedisCheckQueue, 'sweep' | 'prioritizeOld' | 'dropEvents' | 'listHidden'>;
  deleteCheck: DeleteCheck;
}

/**
 * What somebody has to do for the queue from time to time, until stopped. Every gateway does it; once or
 * several times is the same.
 */
export function maintainQueue(
  { queue, deleteCheck }: MaintainQueueDeps,
  log: Log,
): { close(): void } {
  const timers = [
    // BullMQ removes old results only when another job of their kind ends: on a quiet day, never.
    repeat(queue.sweep, SWEEP_MS, (error) => log.warn({ err: error }, 'sweeping results failed')),
    repeat(deleteHidden, SWEEP_MS, (error) => log.warn({ err: error }, 'deleting checks failed')),
    // The next time comes soon, and a Redis that is away reports itself.
    repeat(queue.prioritizeOld, PRIORITIZE_MS, (error) =>
      log.debug({ err: error }, 'prioritizing failed'),
    ),
    repeat(queue.dropEvents, EVENTS_MS, (error) =>
      log.debug({ err: error }, 'dropping BullMQ events failed'),
    ),
  ];
  return { close: () => timers.forEach((timer) => clearInterval(timer)) };

  /** Goes on with what a gateway or a worker left behind as it died. */
  async function deleteHidden(): Promise<void> {
    for (const check of await queue.listHidden()) await deleteCheck(check);
  }
}

function repeat(work: () => Promise<void>, everyMs: number, fail: (error: unknown) => void) {
  return setInterval(() => void work().catch(fail), everyMs);
}
