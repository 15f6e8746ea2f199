import {
  LivegateError,
  SCHEMA_VERSION,
  type CheckQueue,
  type Log,
  type WorkerFacts,
  type WorkerRegistry,
} from '@livegate/core';

const WATCH_MS = 500;

/** What this gateway last saw of the queue and of the workers behind it. */
export interface FleetView {
  workers: WorkerFacts[];
  waiting: number;
  schemaVersion: number;
}

export interface Fleet {
  /** `undefined` while Redis cannot be reached. */
  view(): FleetView | undefined;
  /** Throws `unavailable` or `overloaded` at once, so that no caller uploads or waits in vain. */
  requireCapacity(): void;
  close(): void;
}

export interface FleetOptions {
  queue: CheckQueue;
  registry: WorkerRegistry;
  maxWaiting: number;
  log: Log;
}

/**
 * Watches queue and workers in the background, so that a request is refused from memory. Resolves
 * after the first look.
 */
export async function watchFleet({
  queue,
  registry,
  maxWaiting,
  log,
}: FleetOptions): Promise<Fleet> {
  let view: FleetView | undefined;
  /** Let in since the last look: the queue's length is at most this much out of date. */
  let admitted = 0;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  await look();

  return {
    view: () => view,
    requireCapacity() {
      const problem = findProblem(view);
      if (problem) throw new LivegateError('unavailable', { detail: problem });
      if ((view?.waiting ?? 0) + admitted >= maxWaiting) throw new LivegateError('overloaded');
      admitted += 1;
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };

  async function look(): Promise<void> {
    try {
      const [workers, waiting, schemaVersion] = await Promise.all([
        registry.list(),
        queue.countWaiting(),
        queue.readSchemaVersion(),
      ]);
      view = { workers, waiting, schemaVersion };
      admitted = 0;
    } catch (error) {
      if (view) log.warn({ err: error }, 'the queue is out of reach');
      view = undefined;
    }
    if (!closed) timer = setTimeout(() => void look(), WATCH_MS);
  }
}

/** Why no check can be taken now, or `undefined` if one can. */
export function findProblem(view: FleetView | undefined): string | undefined {
  if (!view) return 'Redis cannot be reached';
  if (view.schemaVersion !== SCHEMA_VERSION) {
    return `the queue holds schema ${view.schemaVersion}, this gateway speaks ${SCHEMA_VERSION}`;
  }
  if (view.workers.length === 0) return 'no worker is alive';
  return undefined;
}
