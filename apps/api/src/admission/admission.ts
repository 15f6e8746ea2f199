import {
  type Flows,
  JOB_VERSION,
  type Leases,
  LivegateError,
  SCHEMA_VERSION,
  type WorkerFacts,
} from '@livegate/core/domain';
import type { CheckQueue, ImageStore, WorkerRegistry } from '@livegate/core/ports';
import type { RedisSettings } from '@livegate/core/redis';
import { limitTime } from '@livegate/core/runtime';
import type { Log } from '@livegate/core/telemetry';
import {
  type AdmitCheckOptions,
  type AskedCheck,
  createAdmitCheck,
  type Place,
} from './admit-check.js';
import { createQueueEstimate } from './queue-estimate.js';

/** The queue and its workers, as this gateway last read them. */
export interface QueueView {
  workers: WorkerFacts[];
  waiting: number;
  flows: Flows;
  schemaVersion: number;
}

export interface Admission {
  /** Settles after the first poll of the queue and the images; until then no check is admitted. */
  firstPoll: Promise<unknown>;
  /** `undefined` while Redis cannot be reached. */
  view(): QueueView | undefined;
  /** Why no check can be admitted now; `undefined` if one can. */
  findProblem(): string | undefined;
  /** Throws `unavailable` or `overloaded` before the caller uploads or waits. */
  admit(check: AskedCheck): Place;
  close(): void;
}

export interface AdmissionOptions extends AdmitCheckOptions {
  queue: CheckQueue;
  registry: WorkerRegistry;
  imageStore: ImageStore;
  /** Tells the workers that callers may wait at this gateway. */
  renew(): Promise<void>;
  settings: Pick<RedisSettings, 'findProblem'>;
  maxWaiting: number;
  /** How long a command to Redis may take. */
  redisTimeoutMs: number;
  leases: Leases;
  log: Log;
}

/**
 * Polls the queue, the workers and the image Redis in the background, so that refusing a request needs
 * no round trip. A check that would wait longer than its caller does is refused: by an
 * estimate before its body is read, and finally when it gets its rank.
 *
 * A frozen Redis is noticed after two consecutive polls, each limited to half of `redisTimeoutMs`:
 * within a second at the default of 500 ms.
 */
export function openAdmission(options: AdmissionOptions): Admission {
  const { imageStore, settings, redisTimeoutMs, log } = options;
  const estimate = createQueueEstimate(options);
  const admitCheck = createAdmitCheck(options, {
    estimate,
    workersOf: () => queue.latest()?.workers ?? [],
  });
  const limitPoll = <T>(work: Promise<T>) => limitTime(redisTimeoutMs / 2, work);
  const staleAfterMs = POLL_MS + redisTimeoutMs;

  const queue = startPolling(pollQueue, {
    staleAfterMs,
    pauseMs: createPause(),
    onStale: (error) => log.warn({ err: error }, 'admission: queue Redis unreachable'),
  });
  const images = startPolling(pollImages, {
    staleAfterMs,
    onStale: (error) => log.warn({ err: error }, 'admission: image Redis unreachable'),
  });
  const findProblem = () =>
    findQueueProblem(queue.latest()) ??
    (images.latest() ? settings.findProblem() : 'the Redis for images cannot be reached');

  return {
    firstPoll: Promise.all([queue.firstRead, images.firstRead]),
    view: queue.latest,
    findProblem,
    admit(check) {
      const problem = findProblem();
      if (problem) throw new LivegateError('unavailable', { detail: problem });
      return admitCheck(check);
    },
    close: () => [queue, images].forEach((poller) => poller.close()),
  };

  async function pollQueue(): Promise<QueueView> {
    const counted = estimate.beginCount();
    const view = await limitPoll(readView(options));
    counted(view);
    return view;
  }

  async function pollImages() {
    await limitPoll(imageStore.ping());
    return { reachable: true };
  }
}

async function readView({ queue, registry, renew }: AdmissionOptions): Promise<QueueView> {
  const [, workers, waiting, flows, schemaVersion] = await Promise.all([
    // First, so that no check of this gateway is queued before a worker sees that it is alive.
    renew(),
    registry.list(),
    queue.countWaiting(),
    queue.readFlows(),
    queue.readSchemaVersion(),
  ]);
  return { workers, waiting, flows, schemaVersion };
}

function findQueueProblem(view: QueueView | undefined): string | undefined {
  if (!view) return 'Redis cannot be reached';
  if (view.schemaVersion !== SCHEMA_VERSION) {
    return `the data in Redis has schema ${view.schemaVersion}, this gateway needs ${SCHEMA_VERSION}`;
  }
  if (view.workers.length === 0) return 'no worker is alive';
  if (!view.workers.some(({ jobVersions }) => jobVersions.includes(JOB_VERSION))) {
    return `no worker reads checks of version ${JOB_VERSION}`;
  }
  return undefined;
}

/** Pause after a successful read. */
export const POLL_MS = 400;
/** Pause after a failed read, and while no worker is alive. */
const RETRY_MS = 100;
/** The same while no worker is alive shortly after the start, which the first worker ends. */
const START_RETRY_MS = 25;
const STARTING_MS = 10_000;

function createPause() {
  const startedAt = performance.now();
  return ({ workers }: QueueView) => {
    if (workers.length > 0) return POLL_MS;
    return performance.now() - startedAt < STARTING_MS ? START_RETRY_MS : RETRY_MS;
  };
}

export interface PollOptions<T> {
  /** Pause after a read of this value. Default: `POLL_MS`. */
  pauseMs?(value: T): number;
  /** How long the latest value stays valid while reads fail. */
  staleAfterMs: number;
  /** Called when the latest value becomes stale. */
  onStale(error: unknown): void;
}

export interface Poller<T> {
  /** Settles after the first read, even if that failed. */
  firstRead: Promise<void>;
  /** The result of the last successful read; `undefined` before the first and once it is stale. */
  latest(): T | undefined;
  close(): void;
}

/** Calls `read` periodically until closed. */
export function startPolling<T extends object>(
  read: () => Promise<T>,
  { staleAfterMs, onStale, pauseMs: pauseAfter = () => POLL_MS }: PollOptions<T>,
): Poller<T> {
  let latest: T | undefined;
  let latestAt = 0;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const firstRead = poll();

  return {
    firstRead,
    latest: () => latest,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };

  async function poll(): Promise<void> {
    const pauseMs = await read().then(keep, miss);
    if (!closed) timer = setTimeout(() => void poll(), pauseMs);
  }

  function keep(value: T): number {
    latest = value;
    latestAt = performance.now();
    return pauseAfter(value);
  }

  /** One failed read is not an outage: the connection may just have been reopened. */
  function miss(error: unknown): number {
    if (latest && performance.now() - latestAt >= staleAfterMs) {
      latest = undefined;
      onStale(error);
    }
    return RETRY_MS;
  }
}
