import {
  JOB_VERSION,
  LivegateError,
  SCHEMA_VERSION,
  type CheckQueue,
  type ImageStore,
  type Lease,
  type Leases,
  type Log,
  type WorkerFacts,
  type WorkerRegistry,
} from '@livegate/core';

/** Of the queue's places, for checks that nobody waits for: a backlog of them leaves room for the others. */
const UNAWAITED_SHARE = 0.9;

const WATCH_MS = 500;
/** After a look that failed the next one comes sooner, ... */
const RETRY_MS = 100;
/** ... and what was seen before counts for so long: one lost connection is no outage. */
const STALE_MS = 2000;

/** What this gateway last saw of the queue and of the workers behind it. */
export interface FleetView {
  workers: WorkerFacts[];
  waiting: number;
  schemaVersion: number;
}

/** A place in the queue, held for a request that is still on its way there. */
export interface Place extends Lease {
  /** The check is in the queue now and counts there. Ends the lease. */
  queued(): void;
}

export interface Fleet {
  /** Settles once the queue was looked at; until then no check is admitted. */
  firstLook: Promise<void>;
  /** `undefined` while Redis cannot be reached. */
  view(): FleetView | undefined;
  /** Throws `unavailable` or `overloaded` at once, so that no caller uploads or waits in vain. */
  admit(check: { isAwaited: boolean }): Place;
  close(): void;
}

export interface FleetOptions {
  queue: CheckQueue;
  registry: WorkerRegistry;
  imageStore: ImageStore;
  maxWaiting: number;
  leases: Leases;
  log: Log;
}

/** Watches queue and workers in the background, so that a request is refused from memory. */
export function watchFleet(options: FleetOptions): Fleet {
  let view: FleetView | undefined;
  let seenAt = 0;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const places = createPlaces(options);
  const firstLook = look();

  return {
    firstLook,
    view: () => view,
    admit({ isAwaited }) {
      const problem = findProblem(view);
      if (problem) throw new LivegateError('unavailable', { detail: problem });
      return places.take(isAwaited ? 1 : UNAWAITED_SHARE);
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };

  async function look(): Promise<void> {
    const counted = places.beginCount();
    try {
      view = await lookAt(options);
      seenAt = performance.now();
      counted(view.waiting);
    } catch (error) {
      loseSight(error);
    }
    const pauseMs = performance.now() - seenAt < WATCH_MS ? WATCH_MS : RETRY_MS;
    if (!closed) timer = setTimeout(() => void look(), pauseMs);
  }

  function loseSight(error: unknown): void {
    if (!view || performance.now() - seenAt < STALE_MS) return;
    options.log.warn({ err: error }, 'the queue is out of reach');
    view = undefined;
  }
}

async function lookAt({ queue, registry, imageStore }: FleetOptions): Promise<FleetView> {
  const [workers, waiting, schemaVersion] = await Promise.all([
    registry.list(),
    queue.countWaiting(),
    queue.readSchemaVersion(),
    // There is no such image; but where the images are may be another Redis, away by itself.
    imageStore.get(['none']),
  ]);
  return { workers, waiting, schemaVersion };
}

/**
 * Counts the queue without asking it for each request: what waited at the last look, what was queued
 * here since, and what is on its way.
 */
function createPlaces({ maxWaiting, leases }: FleetOptions) {
  let waiting = 0;
  let queuedSince = 0;
  let underWay = 0;

  return {
    /** Of `share` of the places, if one of those is free. */
    take(share: number): Place {
      const taken = waiting + queuedSince + underWay;
      if (taken >= share * maxWaiting) throw new LivegateError('overloaded');
      underWay += 1;
      let isQueued = false;
      const lease = leases.take('admission_place', () => {
        underWay -= 1;
        if (isQueued) queuedSince += 1;
      });
      const queued = () => {
        isQueued = true;
        lease.release();
      };
      return { ...lease, queued };
    },
    /** What is queued while a count runs may be in it or not; it is taken to be not. */
    beginCount() {
      const queuedBefore = queuedSince;
      return (counted: number) => {
        waiting = counted;
        queuedSince -= queuedBefore;
      };
    },
  };
}

/** Why no check can be taken now, or `undefined` if one can. */
export function findProblem(view: FleetView | undefined): string | undefined {
  if (!view) return 'Redis cannot be reached';
  if (view.schemaVersion !== SCHEMA_VERSION) {
    return `the queue holds schema ${view.schemaVersion}, this gateway speaks ${SCHEMA_VERSION}`;
  }
  if (view.workers.length === 0) return 'no worker is alive';
  if (!view.workers.some(({ jobVersions }) => jobVersions.includes(JOB_VERSION))) {
    return `no worker reads checks of version ${JOB_VERSION}`;
  }
  return undefined;
}
