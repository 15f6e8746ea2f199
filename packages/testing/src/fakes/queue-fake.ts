import {
  advanceClock,
  type CheckJob,
  type CheckOutcome,
  type CheckRecord,
  type Flows,
  isAsyncJob,
  type JobState,
  noFlows,
  type RankRequest,
  refuseWait,
  SCHEMA_VERSION,
  statusOf,
  toQueuedCheck,
  waitBefore,
  withCheck,
  withDelayed,
} from '@livegate/core/domain';
import type { Cancellation, Cancellations, CheckQueue, DeletableCheck } from '@livegate/core/ports';
import { failInOutage, type Outage } from './outage.js';

export interface FakeCheckQueue extends CheckQueue, Cancellations {
  /** The jobs of all checks, by id. */
  readonly jobs: ReadonlyMap<string, CheckJob>;
  /** Takes the next check as a worker does. Returns its id. */
  takeNext(): string | undefined;
  /** Takes this check as a worker does. */
  begin(id: string): void;
  /** Ends an attempt by a fault of ours: the check waits for its next attempt. */
  retry(id: string): void;
  /** Requeues a taken check with a delay, as a worker does without a slot for its image. */
  delay(id: string): void;
  /** Ends a check as a worker does. */
  finish(id: string, outcome: CheckOutcome): void;
}

interface FakeCheck {
  job: CheckJob;
  rank: number;
  state: JobState;
  isDelayed?: boolean;
  cancellation?: Cancellation;
  /** Canceled before a worker took it. */
  neverRan?: boolean;
  outcome?: CheckOutcome;
}

export function createFakeCheckQueue(outage: Outage = { away: false }): FakeCheckQueue {
  const checks = new Map<string, FakeCheck>();
  const ranks = createFakeRanks(() => inOrder()[0]?.[1].rank);
  const isFinal = ({ state }: FakeCheck) => state === 'completed' || state === 'failed';

  /** The waiting checks; of equal ranks, a Map keeps the order of insertion. */
  function inOrder() {
    return [...checks]
      .filter(([, { state, isDelayed }]) => state === 'waiting' && !isDelayed)
      .toSorted(([, a], [, b]) => a.rank - b.rank);
  }

  function changeRank(id: string, choose: (check: FakeCheck) => number): void {
    const check = checks.get(id);
    if (check?.state !== 'waiting') return;
    const rank = choose(check);
    checks.delete(id);
    checks.set(id, { ...check, rank });
  }

  function change(id: string, to: Partial<FakeCheck>): void {
    const check = checks.get(id);
    if (check) checks.set(id, { ...check, ...to });
  }

  const queue: CheckQueue & Cancellations = {
    async takeRank(request) {
      return ranks.take(request);
    },
    async add(id, job, given) {
      const rank = given ?? ranks.take(describeRank(job, !isAsyncJob(job)));
      if (!checks.has(id)) checks.set(id, { job, rank, state: 'waiting' });
    },
    async read(id) {
      const check = checks.get(id);
      return check && check.cancellation !== 'deleted' ? describeCheck(id, check) : undefined;
    },
    async cancel(id) {
      const check = checks.get(id);
      if (!check || isFinal(check)) return false;
      const neverRan = check.state === 'waiting';
      if (check.cancellation === undefined) change(id, { cancellation: 'canceled', neverRan });
      return true;
    },
    async hide(id) {
      change(id, { cancellation: 'deleted' });
    },
    async delete(id) {
      if (checks.get(id)?.state === 'running') change(id, { cancellation: 'deleted' });
      else checks.delete(id);
    },
    async listHidden() {
      const hidden = [...checks].filter(([, { cancellation }]) => cancellation === 'deleted');
      return hidden.map(([id, { job }]) => describeDeletable(id, job));
    },
    async forget(id) {
      if (checks.get(id)?.cancellation === 'deleted') checks.delete(id);
    },
    async find(ids) {
      const marks = ids.map((id) => [id, checks.get(id)?.cancellation] as const);
      return new Map(marks.filter((mark): mark is [string, Cancellation] => mark[1] !== undefined));
    },
    async prioritize(id) {
      const job = checks.get(id)?.job;
      if (!job || !isAsyncJob(job)) return;
      changeRank(id, ({ rank }) => Math.min(rank, ranks.take(describeRank(job, true))));
    },
    async defer(id, to) {
      const found = checks.get(id);
      if (!found || isFinal(found)) return;
      const { isCallersOnly: _, ...job } = found.job;
      change(id, { job });
      if (to === 'async' && isAsyncJob(job)) return;
      changeRank(id, () => (to === 'last' ? LAST_RANK : ranks.take(describeRank(job, false))));
    },
    async readFlows() {
      const delayed = [...checks.values()].filter(({ isDelayed }) => isDelayed);
      const withTag = ({ job, rank }: FakeCheck) => ({
        ...toQueuedCheck(describeRank(job, !isAsyncJob(job))),
        tag: rank - 1,
      });
      return withDelayed(ranks.read(), delayed.map(withTag));
    },
    async countWaiting() {
      return [...checks.values()].filter(({ state }) => state === 'waiting').length;
    },
    async readSchemaVersion() {
      return SCHEMA_VERSION;
    },
  };

  return {
    ...failInOutage(queue, outage),
    get jobs() {
      return new Map([...checks].map(([id, { job }]) => [id, job]));
    },
    takeNext() {
      const [[id] = []] = inOrder();
      if (id !== undefined) change(id, { state: 'running' });
      return id;
    },
    begin: (id) => change(id, { state: 'running', isDelayed: false }),
    retry: (id) => change(id, { state: 'waiting' }),
    delay: (id) => change(id, { state: 'waiting', isDelayed: true }),
    finish(id, outcome) {
      change(id, { state: 'result' in outcome ? 'completed' : 'failed', outcome });
      if (checks.get(id)?.cancellation === 'deleted') checks.delete(id);
    },
  };
}

const LAST_RANK = 2 ** 21 - 1;

function describeRank({ tenant, weight = 1, ms = 20 }: CheckJob, isAwaited: boolean): RankRequest {
  return { tenant, isAwaited, weight, ms };
}

/** The clock of an empty queue stands still. */
function createFakeRanks(firstRank: () => number | undefined) {
  let stored: Pick<Flows, 'clock' | 'flows'> = noFlows;
  const read = () => {
    const rank = firstRank() ?? LAST_RANK;
    const head = rank < LAST_RANK ? rank - 1 : undefined;
    return advanceClock(stored, { head, elapsedMs: 0, untaggedMs: 0 });
  };

  return {
    read,
    take(request: RankRequest): number {
      const { maxWaitMs = Infinity } = request;
      const check = toQueuedCheck(request);
      const present = read();
      const waitMs = waitBefore(present, check);
      if (waitMs > maxWaitMs) throw refuseWait(waitMs, maxWaitMs);
      stored = withCheck(present, check);
      return Math.floor(stored.flows.get(check.flow)!.tag) + 1;
    },
  };
}

function describeDeletable(
  id: string,
  { tenant, webhookUrl, keySha256 }: CheckJob,
): DeletableCheck {
  return {
    id,
    tenant,
    ...(webhookUrl !== undefined && { webhookUrl }),
    ...(keySha256 !== undefined && { keySha256 }),
  };
}

function describeCheck(id: string, check: FakeCheck): CheckRecord {
  const { job, state, cancellation, outcome } = check;
  const status = statusOf(state, cancellation !== undefined);
  return {
    ...describeDeletable(id, job),
    status,
    createdAt: 0,
    ...(status !== 'queued' && !check.neverRan && { startedAt: 1 }),
    ...((outcome ?? check.neverRan) && { finishedAt: 2 }),
    ...(job.baseUrl !== undefined && { baseUrl: job.baseUrl }),
    ...(job.sid !== undefined && { sid: job.sid }),
    ...(job.qualityPolicy !== undefined && { qualityPolicy: job.qualityPolicy }),
    ...(status === 'canceled' ? { outcome: { error: 'canceled' } } : outcome && { outcome }),
  };
}
