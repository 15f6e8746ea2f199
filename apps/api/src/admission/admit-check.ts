import {
  type CheckJob,
  type Lease,
  LivegateError,
  roundMs,
  WORK_OF_ENGINE_SECOND,
  workOfBody,
  type WorkerFacts,
} from '@livegate/core/domain';
import type { CheckQueue } from '@livegate/core/ports';
import type { QueueEstimate } from './queue-estimate.js';

/** What a request says about its check before its body is read. */
export interface AskedCheck {
  tenant: string;
  /** How long its caller waits for the outcome; 0 for an async check. */
  waitMs: number;
  /** Whether the caller also accepts a job (`respond-async`); then the check may run as an async one. */
  mayBeAsync?: boolean;
  /** The length of its body; absent if it is not declared. */
  bytes?: number | undefined;
}

/** A place in the queue, reserved for a request whose check is not queued yet. */
export interface Place extends Lease {
  /** Decides again, now that the work is known. Throws `overloaded`. */
  takeRank(work: number): Promise<Ranked>;
  /** To be called once the check is queued and counted there. Releases the lease. */
  queued(): void;
}

/** The rank of a check, and what its job says about it. */
export interface Ranked extends Pick<CheckJob, 'work' | 'ms' | 'weight' | 'isAsync'> {
  rank: number;
}

export interface AdmitCheckDeps {
  estimate: QueueEstimate;
  workersOf: () => readonly WorkerFacts[];
}

/** The limits and ports that `openAdmission` gets. */
export interface AdmitCheckOptions {
  queue: Pick<CheckQueue, 'takeRank'>;
  /** A tenant's share of the workers, relative to other tenants. */
  weightOf(tenant: string): number;
  /** The longest that a check with a waiting caller may be queued. */
  maxQueueWaitMs: number;
  /** The same for an async check. */
  maxAsyncWaitMs: number;
}

/** Chooses the lane of a check, and asks the estimate and then Redis whether it waits too long. */
export function createAdmitCheck(
  { queue, weightOf, maxQueueWaitMs, maxAsyncWaitMs }: AdmitCheckOptions,
  { estimate, workersOf }: AdmitCheckDeps,
) {
  /** How long all workers together need for this work. */
  const toMs = (work: number) => (1000 * work) / speedOf(workersOf());

  return (check: AskedCheck): Place => {
    const { waitMs, mayBeAsync } = check;
    if (waitMs === 0) return reserve(check, false);
    try {
      return reserve(check, true);
    } catch (error) {
      if (!mayBeAsync) throw error;
      return reserve(check, false);
    }
  };

  function reserve({ tenant, waitMs, mayBeAsync, bytes }: AskedCheck, isAwaited: boolean): Place {
    const weight = weightOf(tenant);
    const request = (awaited: boolean, ms: number) => {
      const maxWaitMs = awaited ? Math.min(waitMs, maxQueueWaitMs) : maxAsyncWaitMs;
      return { tenant, isAwaited: awaited, weight, ms, maxWaitMs };
    };
    const place = estimate.take(request(isAwaited, toMs(workOfBody(bytes))));
    const takeRank = async (work: number): Promise<Ranked> => {
      const ms = toMs(work);
      place.resize(ms);
      let isAsync = !isAwaited;
      const rank = await queue.takeRank(request(isAwaited, ms)).catch((error: unknown) => {
        if (!isAwaited || !mayBeAsync || !isOverloaded(error)) throw error;
        isAsync = true;
        return queue.takeRank(request(false, ms));
      });
      const facts = { work: roundMs(work), ms: roundMs(ms), ...(weight !== 1 && { weight }) };
      return { rank, ...facts, ...(isAsync && waitMs > 0 && { isAsync: true as const }) };
    };
    return { ...place, takeRank };
  }
}

function isOverloaded(error: unknown): boolean {
  return error instanceof LivegateError && error.code === 'overloaded';
}

/** The work that these workers do in a second. */
export function speedOf(workers: readonly WorkerFacts[]): number {
  const speeds = workers.map(({ workPerSecond = WORK_OF_ENGINE_SECOND }) => workPerSecond);
  return speeds.reduce((sum, speed) => sum + speed, 0) || WORK_OF_ENGINE_SECOND;
}
