import {
  JOB_VERSION,
  type Lease,
  type Leases,
  LivegateError,
  SCHEMA_VERSION,
  type WorkerFacts,
} from '@livegate/core/domain';
import type { CheckQueue, ImageStore, WorkerRegistry } from '@livegate/core/ports';
import type { RedisSettings } from '@livegate/core/redis';
import { limitTime } from '@livegate/core/runtime';
import type { Log } from '@livegate/core/telemetry';
import { keepLooking, LOOK_MS } from './watch.js';

/** Of the queue's places, for checks that nobody waits for: a backlog of them leaves room for the others. */
const UNAWAITED_SHARE = 0.9;

/** What this gateway last saw of the queue and of the workers behind it. */
export interface QueueView {
  workers: WorkerFacts[];
  waiting: number;
  schemaVersion: number;
}

/** A place in the queue, held for a request that is still on its way there. */
export interface Place extends Lease {
  /** The check is in the queue now and counts there. Ends the lease. */
  queued(): void;
}

export interface Admission {
  /** Settles once queue and images were looked at; until then no check is admitted. */
  firstLook: Promise<unknown>;
  /** `undefined` while Redis cannot be reached. */
  view(): QueueView | undefined;
  /** Why no check can be taken now, or `undefined` if one can. */
  findProblem(): string | undefined;
  /** Throws `unavailable` or `overloaded` at once, so that no caller uploads or waits in vain. */
  admit(check: { isAwaited: boolean }): Place;
  close(): void;
}

export interface AdmissionOptions {
  queue: CheckQueue;
  registry: WorkerRegistry;
  imageStore: ImageStore;
  settings: Pick<RedisSettings, 'findProblem'>;
  maxWaiting: number;
  /** How long a command to Redis may take. */
  redisTimeoutMs: number;
  leases: Leases;
  log: Log;
}

/**
 * Watches the queue, the workers and the images in the background, so that a request is refused from
 * memory.
 *
 * A frozen Redis is noticed after two looks in a row of half a time limit each, which with the default
 * of 500 ms is within a second.
 */
export function openAdmission(options: AdmissionOptions): Admission {
  const { imageStore, settings, redisTimeoutMs, log } = options;
  const places = createPlaces(options);
  const limitLook = <T>(work: Promise<T>) => limitTime(redisTimeoutMs / 2, work);
  const staleAfterMs = LOOK_MS + redisTimeoutMs;

  const queue = keepLooking(lookAtQueue, {
    staleAfterMs,
    onLost: (error) => log.warn({ err: error }, 'the queue is out of reach'),
  });
  const images = keepLooking(lookAtImages, {
    staleAfterMs,
    onLost: (error) => log.warn({ err: error }, 'the images are out of reach'),
  });
  const findProblem = () =>
    findQueueProblem(queue.seen()) ??
    (images.seen() ? settings.findProblem() : 'the Redis for images cannot be reached');

  return {
    firstLook: Promise.all([queue.firstLook, images.firstLook]),
    view: queue.seen,
    findProblem,
    admit({ isAwaited }) {
      const problem = findProblem();
      if (problem) throw new LivegateError('unavailable', { detail: problem });
      return places.take(isAwaited ? 1 : UNAWAITED_SHARE);
    },
    close: () => [queue, images].forEach((sight) => sight.close()),
  };

  async function lookAtQueue(): Promise<QueueView> {
    const counted = places.beginCount();
    const view = await limitLook(readView(options));
    counted(view.waiting);
    return view;
  }

  async function lookAtImages() {
    await limitLook(imageStore.ping());
    return { reachable: true };
  }
}

async function readView({ queue, registry }: AdmissionOptions): Promise<QueueView> {
  const [workers, waiting, schemaVersion] = await Promise.all([
    registry.list(),
    queue.countWaiting(),
    queue.readSchemaVersion(),
  ]);
  return { workers, waiting, schemaVersion };
}

/**
 * Counts the queue without asking it for each request: what waited at the last look, what was queued
 * here since, and what is on its way.
 */
function createPlaces({ maxWaiting, leases }: AdmissionOptions) {
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

function findQueueProblem(view: QueueView | undefined): string | undefined {
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
