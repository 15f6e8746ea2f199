import {
  type Flows,
  type Lease,
  type Leases,
  LivegateError,
  noFlows,
  type QueuedCheck,
  queuedMs,
  type RankRequest,
  refuseWait,
  toQueuedCheck,
  totalQueuedMs,
  waitBefore,
  withCheck,
} from '@livegate/core/domain';

export interface QueueEstimateOptions {
  /** The most checks that may wait, of all tenants. */
  maxWaiting: number;
  leases: Leases;
}

export interface EstimatedPlace extends Lease {
  /** Corrects the time of its check. */
  resize(ms: number): void;
  /** To be called once the check is queued and counted there. Releases the lease. */
  queued(): void;
}

/** The queue when it was last read. */
export interface CountedQueue {
  flows: Flows;
  waiting: number;
}

/**
 * Estimates the queue without a Redis command per request: what waited at the last count, what this
 * gateway has queued since, and the admitted requests that are not queued yet.
 */
export interface QueueEstimate {
  /** Throws `overloaded` unless a place is free and the check would not wait for too long. */
  take(request: RankRequest): EstimatedPlace;
  /** Checks that are queued during a count are counted twice rather than not at all. */
  beginCount(): (latest: CountedQueue) => void;
}

export function createQueueEstimate({ maxWaiting, leases }: QueueEstimateOptions): QueueEstimate {
  let counted: CountedQueue = { flows: noFlows, waiting: 0 };
  let countedAt = 0;
  /** Admitted and not queued yet; queued since the last count. */
  const [pending, queued] = [createTally(), createTally()];

  return {
    take(request) {
      const { maxWaitMs = Infinity } = request;
      const check = toQueuedCheck(request);
      requirePlace(maxWaiting, {
        total: counted.waiting + pending.count() + queued.count(),
        own: estimateOwn(check.flow),
      });
      const waitMs = estimateWait(check);
      if (waitMs > maxWaitMs) throw refuseWait(waitMs, maxWaitMs);
      return reserve(check, { pending, queued }, leases);
    },
    beginCount() {
      const before = queued.checks();
      const startedAt = performance.now();
      return (latest) => {
        counted = latest;
        countedAt = startedAt;
        queued.subtract(before);
      };
    },
  };

  /** The checks of a flow at the last count are estimated by its share of the queued time. */
  function estimateOwn(flow: string): number {
    const share = queuedMs(counted.flows, flow) / (totalQueuedMs(counted.flows) || 1);
    return Math.floor(share * counted.waiting) + pending.count(flow) + queued.count(flow);
  }

  function estimateWait(check: QueuedCheck): number {
    const added = [...pending.checks(), ...queued.checks()];
    const flows = added.reduce(withCheck, counted.flows);
    return waitBefore(flows, check) - (performance.now() - countedAt);
  }
}

interface Tallies {
  pending: Tally;
  queued: Tally;
}

function reserve(check: QueuedCheck, { pending, queued }: Tallies, leases: Leases): EstimatedPlace {
  let reserved = check;
  let isQueued = false;
  pending.add(reserved, 1);
  const lease = leases.take('admission_place', () => {
    pending.add(reserved, -1);
    if (isQueued) queued.add(reserved, 1);
  });
  return {
    ...lease,
    resize(ms) {
      pending.add(reserved, -1);
      reserved = { ...reserved, ms };
      pending.add(reserved, 1);
    },
    queued() {
      isQueued = true;
      lease.release();
    },
  };
}

/**
 * A flow alone gets half of the places, and n busy ones 1/(n+1) each, so that another one always finds
 * one, as for uploads.
 */
function requirePlace(max: number, { total, own }: { total: number; own: number }): void {
  const leftFree = max - total - 1;
  if (leftFree >= (own === 0 ? 0 : own + 1)) return;
  const detail = `${total} of ${max} checks wait, ${own} of them of this tenant`;
  throw new LivegateError('overloaded', { detail });
}

interface Tallied extends QueuedCheck {
  count: number;
}

type Tally = ReturnType<typeof createTally>;

/** Counts checks and their time, by flow. */
function createTally(flows = new Map<string, Tallied>()) {
  const add = (check: QueuedCheck, sign: 1 | -1, count = 1) => {
    const { flow } = check;
    const known = flows.get(flow) ?? { ...check, ms: 0, count: 0 };
    const next = { ...known, ms: known.ms + sign * check.ms, count: known.count + sign * count };
    if (next.count > 0) flows.set(flow, next);
    else flows.delete(flow);
  };
  const count = (flow: string) => flows.get(flow)?.count ?? 0;

  return {
    add,
    /** The checks of one flow, or of all. */
    count: (flow?: string) =>
      [...(flow === undefined ? flows.keys() : [flow])].reduce((sum, name) => sum + count(name), 0),
    /** One entry for each flow. */
    checks: (): Tallied[] => [...flows.values()],
    subtract: (others: Tallied[]) => others.forEach((other) => add(other, -1, other.count)),
  };
}
