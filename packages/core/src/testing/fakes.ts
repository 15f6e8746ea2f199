import { SCHEMA_VERSION, type CheckJob, type CheckOutcome } from '../domain/check.js';
import { LivegateError } from '../domain/errors.js';
import type { WorkerFacts } from '../domain/models.js';
import { createReplyWaiters } from '../domain/reply-waiters.js';
import type {
  CheckQueue,
  ImageStore,
  RateLimiter,
  ReplyInbox,
  ReplyOutbox,
  WorkerRegistry,
} from '../ports.js';

/** A store that can be taken away, as Redis can. */
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
  };
}

export interface FakeCheckQueue extends CheckQueue {
  /** What a worker would find. */
  readonly jobs: ReadonlyMap<string, CheckJob>;
  /** Ends a check as a worker would. */
  finish(id: string, outcome: CheckOutcome): void;
}

export function createFakeCheckQueue(outage: Outage = { away: false }): FakeCheckQueue {
  const jobs = new Map<string, CheckJob>();
  const outcomes = new Map<string, CheckOutcome>();
  return {
    jobs,
    finish: (id, outcome) => void outcomes.set(id, outcome),
    async add(id, job) {
      requirePresent(outage);
      if (!jobs.has(id)) jobs.set(id, job);
    },
    async readOutcome(id) {
      requirePresent(outage);
      return outcomes.get(id);
    },
    async countWaiting() {
      requirePresent(outage);
      return jobs.size - outcomes.size;
    },
    async readSchemaVersion() {
      requirePresent(outage);
      return SCHEMA_VERSION;
    },
  };
}

export interface FakeReplies {
  createInbox(gatewayId: string): ReplyInbox;
  outbox: ReplyOutbox;
}

export function createFakeReplies(): FakeReplies {
  const gateways = new Map<string, ReturnType<typeof createReplyWaiters>>();
  return {
    createInbox(gatewayId) {
      const waiters = createReplyWaiters();
      gateways.set(gatewayId, waiters);
      return {
        address: gatewayId,
        expect: (id) => waiters.expect(id),
        async close() {
          gateways.delete(gatewayId);
        },
      };
    },
    outbox: {
      async send(address, id, outcome) {
        gateways.get(address)?.deliver(id, outcome);
      },
    },
  };
}

export function createFakeWorkerRegistry(outage: Outage = { away: false }): WorkerRegistry {
  const workers = new Map<string, WorkerFacts>();
  return {
    async announce(facts) {
      requirePresent(outage);
      workers.set(facts.id, facts);
    },
    async withdraw(id) {
      requirePresent(outage);
      workers.delete(id);
    },
    async list() {
      requirePresent(outage);
      return [...workers.values()];
    },
  };
}

/** Counts for ever: its minute never ends. */
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
