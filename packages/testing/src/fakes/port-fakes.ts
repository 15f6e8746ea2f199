import { isDeepStrictEqual } from 'node:util';
import {
  type CheckJob,
  type CheckOutcome,
  type CheckRecord,
  advanceClock,
  createLeases,
  type Flows,
  isAsyncJob,
  type JobState,
  type Leases,
  LivegateError,
  noFlows,
  type RankRequest,
  refuseWait,
  SCHEMA_VERSION,
  statusOf,
  toQueuedCheck,
  waitBefore,
  withCheck,
  type WorkerFacts,
} from '@livegate/core/domain';
import type {
  Cancellation,
  Cancellations,
  CheckQueue,
  DeletableCheck,
  IdempotencyKeys,
  ImageStore,
  KeyAddress,
  KeyClaim,
  RateLimiter,
  ReplyInbox,
  ReplyOutbox,
  WorkerRegistry,
} from '@livegate/core/ports';
import { createReplyWaiters } from '@livegate/core/runtime';

/** Simulates an unreachable Redis while `away` is true. */
export interface Outage {
  away: boolean;
}

function requirePresent(outage: Outage): void {
  if (outage.away) throw new LivegateError('unavailable', { detail: 'the fake is away' });
}

export function createFakeImageStore(outage: Outage = { away: false }): ImageStore {
  const images = new Map<string, Uint8Array>();
  return {
    async put(id, bytes) {
      requirePresent(outage);
      images.set(id, Uint8Array.from(bytes));
    },
    async get(ids) {
      requirePresent(outage);
      return ids.map((id) => images.get(id));
    },
    async delete(id) {
      requirePresent(outage);
      images.delete(id);
    },
    async ping() {
      requirePresent(outage);
    },
  };
}

export interface FakeCheckQueue extends CheckQueue, Cancellations {
  /** The jobs of all checks, by id. */
  readonly jobs: ReadonlyMap<string, CheckJob>;
  /** Takes the next check as a worker does. Returns its id. */
  takeNext(): string | undefined;
  /** Takes this check as a worker does. */
  begin(id: string): void;
  /** Ends an attempt by a fault of ours: the check waits for its next attempt. */
  retry(id: string): void;
  /** Ends a check as a worker does. */
  finish(id: string, outcome: CheckOutcome): void;
}

interface FakeCheck {
  job: CheckJob;
  rank: number;
  state: JobState;
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
      .filter(([, { state }]) => state === 'waiting')
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

  return {
    get jobs() {
      return new Map([...checks].map(([id, { job }]) => [id, job]));
    },
    takeNext() {
      const [[id] = []] = inOrder();
      if (id !== undefined) change(id, { state: 'running' });
      return id;
    },
    begin: (id) => change(id, { state: 'running' }),
    retry: (id) => change(id, { state: 'waiting' }),
    finish(id, outcome) {
      change(id, { state: 'result' in outcome ? 'completed' : 'failed', outcome });
      if (checks.get(id)?.cancellation === 'deleted') checks.delete(id);
    },
    async takeRank(request) {
      requirePresent(outage);
      return ranks.take(request);
    },
    async add(id, job, given) {
      requirePresent(outage);
      const rank = given ?? ranks.take(describeRank(job, !isAsyncJob(job)));
      if (!checks.has(id)) checks.set(id, { job, rank, state: 'waiting' });
    },
    async read(id) {
      requirePresent(outage);
      const check = checks.get(id);
      return check && check.cancellation !== 'deleted' ? describeCheck(id, check) : undefined;
    },
    async cancel(id) {
      requirePresent(outage);
      const check = checks.get(id);
      if (!check || isFinal(check)) return false;
      const neverRan = check.state === 'waiting';
      if (check.cancellation === undefined) change(id, { cancellation: 'canceled', neverRan });
      return true;
    },
    async hide(id) {
      requirePresent(outage);
      change(id, { cancellation: 'deleted' });
    },
    async delete(id) {
      requirePresent(outage);
      if (checks.get(id)?.state === 'running') change(id, { cancellation: 'deleted' });
      else checks.delete(id);
    },
    async listHidden() {
      requirePresent(outage);
      const hidden = [...checks].filter(([, { cancellation }]) => cancellation === 'deleted');
      return hidden.map(([id, { job }]) => describeDeletable(id, job));
    },
    async forget(id) {
      requirePresent(outage);
      if (checks.get(id)?.cancellation === 'deleted') checks.delete(id);
    },
    async find(ids) {
      requirePresent(outage);
      const marks = ids.map((id) => [id, checks.get(id)?.cancellation] as const);
      return new Map(marks.filter((mark): mark is [string, Cancellation] => mark[1] !== undefined));
    },
    async prioritize(id) {
      requirePresent(outage);
      const job = checks.get(id)?.job;
      if (!job || !isAsyncJob(job)) return;
      changeRank(id, ({ rank }) => Math.min(rank, ranks.take(describeRank(job, true))));
    },
    async defer(id, to) {
      requirePresent(outage);
      const job = checks.get(id)?.job;
      if (!job || (to === 'async' && isAsyncJob(job))) return;
      changeRank(id, () => (to === 'last' ? LAST_RANK : ranks.take(describeRank(job, false))));
    },
    async readFlows() {
      requirePresent(outage);
      return ranks.read();
    },
    async countWaiting() {
      requirePresent(outage);
      return [...checks.values()].filter(({ state }) => state === 'waiting').length;
    },
    async readSchemaVersion() {
      requirePresent(outage);
      return SCHEMA_VERSION;
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

export interface FakeReplies {
  createInbox(gatewayId: string): ReplyInbox;
  leases: Leases;
  outbox: ReplyOutbox;
}

export function createFakeReplies(leases = createLeases()): FakeReplies {
  const gateways = new Map<string, ReturnType<typeof createReplyWaiters>>();
  /** The attachments of each check; one gateway may have several. */
  const attached = new Map<string, Set<{ gatewayId: string }>>();
  return {
    leases,
    createInbox(gatewayId) {
      const waiters = createReplyWaiters(leases);
      gateways.set(gatewayId, waiters);
      return {
        address: gatewayId,
        expect: (id) => waiters.expect(id),
        async attach(id) {
          const waiter = waiters.expect(id);
          const marks = attached.get(id) ?? new Set();
          const mark = { gatewayId };
          attached.set(id, marks.add(mark));
          const attachment = leases.take('attachment', () => void marks.delete(mark));
          const release = () => [waiter, attachment].forEach((lease) => lease.release());
          return { ...waiter, release, [Symbol.dispose]: release };
        },
        async close() {
          gateways.delete(gatewayId);
        },
      };
    },
    outbox: {
      async send(id, outcome, address) {
        const addresses = new Set([...(attached.get(id) ?? [])].map(({ gatewayId }) => gatewayId));
        if (address !== undefined) addresses.add(address);
        attached.delete(id);
        for (const to of addresses) gateways.get(to)?.deliver(id, outcome);
      },
    },
  };
}

export function createFakeIdempotencyKeys(outage: Outage = { away: false }): IdempotencyKeys {
  const claims = new Map<string, KeyClaim>();
  const keyOf = ({ tenant, keySha256 }: KeyAddress) => `${tenant}/${keySha256}`;

  return {
    async claim(at, claim) {
      requirePresent(outage);
      const key = keyOf(at);
      if (!claims.has(key)) claims.set(key, claim);
      return claims.get(key) ?? claim;
    },
    async replace(at, held, next) {
      requirePresent(outage);
      const key = keyOf(at);
      if (isDeepStrictEqual(claims.get(key) ?? held, held)) claims.set(key, next);
      return claims.get(key) ?? next;
    },
    async join(at, held) {
      requirePresent(outage);
      if (!isDeepStrictEqual(claims.get(keyOf(at)), held)) return false;
      claims.set(keyOf(at), { ...held, isJoined: true });
      return true;
    },
    async release(at, id) {
      requirePresent(outage);
      if (claims.get(keyOf(at))?.id === id) claims.delete(keyOf(at));
    },
  };
}

export function createFakeWorkerRegistry(outage: Outage = { away: false }): WorkerRegistry {
  const workers = new Map<string, WorkerFacts>();
  return {
    async register(facts) {
      requirePresent(outage);
      workers.set(facts.id, facts);
    },
    async unregister(id) {
      requirePresent(outage);
      workers.delete(id);
    },
    async list() {
      requirePresent(outage);
      return [...workers.values()];
    },
  };
}

/** Its window never ends, so a tenant's count only grows. */
export function createFakeRateLimiter(outage: Outage = { away: false }): RateLimiter {
  const used = new Map<string, number>();
  return {
    async consume(tenant, perMinute) {
      requirePresent(outage);
      if (perMinute === 0) return;
      const count = (used.get(tenant) ?? 0) + 1;
      used.set(tenant, count);
      if (count > perMinute) throw new LivegateError('rate_limited', { retryAfterSeconds: 60 });
    },
  };
}
