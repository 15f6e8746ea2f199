import type { RedisCheckQueue } from '@livegate/core/redis';
import type { Log } from '@livegate/core/telemetry';
import type { DeleteCheck } from './end-check.js';

const SWEEP_MS = 60_000;
/** How long what was to be deleted may outlive an outage. */
const RESUME_MS = 10_000;
/** How long BullMQ's events, which contain scores, outlive a deleted check or an expired result. */
const DROP_EVENTS_MS = 1000;

export interface MaintainQueueDeps {
  queue: Pick<RedisCheckQueue, 'sweep' | 'dropEvents' | 'listHidden'>;
  deleteCheck: DeleteCheck;
}

/**
 * Runs the periodic maintenance of the queue until closed. Every gateway runs it; each task is
 * idempotent.
 */
export function maintainQueue(
  { queue, deleteCheck }: MaintainQueueDeps,
  log: Log,
): { close(): void } {
  const timers = [
    // BullMQ removes old results only when another job ends in the same way: in a quiet queue, never.
    repeat(queue.sweep, SWEEP_MS, (error) =>
      log.warn({ err: error }, 'queue: removing expired results failed'),
    ),
    repeat(deleteHidden, RESUME_MS, (error) =>
      log.warn({ err: error }, 'queue: resuming interrupted deletions failed'),
    ),
    // At debug level: the next run is soon, and the connection logs its own outages.
    repeat(queue.dropEvents, DROP_EVENTS_MS, (error) =>
      log.debug({ err: error }, 'queue: deleting BullMQ events failed'),
    ),
  ];
  return { close: () => timers.forEach((timer) => clearInterval(timer)) };

  /** Finishes the deletions that a gateway or a worker had begun when it died, or lost its Redis. */
  async function deleteHidden(): Promise<void> {
    for (const check of await queue.listHidden()) await deleteCheck(check);
  }
}

function repeat(work: () => Promise<void>, everyMs: number, fail: (error: unknown) => void) {
  return setInterval(() => void work().catch(fail), everyMs);
}
