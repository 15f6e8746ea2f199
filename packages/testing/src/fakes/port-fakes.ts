import { isDeepStrictEqual } from 'node:util';
import {
  type CheckOutcome,
  createLeases,
  type Leases,
  LivegateError,
  type WorkerFacts,
} from '@livegate/core/domain';
import type {
  Cancellations,
  Demand,
  Demands,
  GatewayRegistry,
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
import { failInOutage, type Outage } from './outage.js';

export function createFakeImageStore(outage: Outage = { away: false }): ImageStore {
  const images = new Map<string, Uint8Array>();
  const store: ImageStore = {
    async put(id, bytes) {
      images.set(id, Uint8Array.from(bytes));
    },
    async get(ids) {
      return ids.map((id) => images.get(id));
    },
    async delete(id) {
      images.delete(id);
    },
    ping: async () => undefined,
  };
  return failInOutage(store, outage);
}

export interface FakeReplies {
  createInbox(gatewayId: string): ReplyInbox;
  leases: Leases;
  createOutbox(world: FakeDemandOptions): ReplyOutbox;
  /** Of checks that nobody cancels. */
  outbox: ReplyOutbox;
}

export function createFakeReplies(leases = createLeases()): FakeReplies {
  const gateways = new Map<string, ReturnType<typeof createReplyWaiters>>();
  /** The attachments of each check; one gateway may have several. */
  const attached = new Map<string, Set<{ gatewayId: string }>>();
  const createOutbox: FakeReplies['createOutbox'] = (world) => ({
    async send({ id, tenant, replyTo }, outcome) {
      const [found] = await createFakeDemands(world).find([{ id, tenant }]);
      const { cancellation, hasEndpoints } = found!;
      const sent: CheckOutcome = cancellation ? { error: 'canceled' } : outcome;
      const addresses = new Set([...(attached.get(id) ?? [])].map(({ gatewayId }) => gatewayId));
      if (replyTo !== undefined) addresses.add(replyTo);
      attached.delete(id);
      for (const to of addresses) gateways.get(to)?.deliver(id, sent);
      return { cancellation, hasEndpoints };
    },
  });
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
    createOutbox,
    outbox: createOutbox({ find: async () => new Map() }),
  };
}

export function createFakeIdempotencyKeys(outage: Outage = { away: false }): IdempotencyKeys {
  const claims = new Map<string, KeyClaim>();
  const keyOf = ({ tenant, keySha256 }: KeyAddress) => `${tenant}/${keySha256}`;

  const keys: IdempotencyKeys = {
    async claim(at, claim) {
      const key = keyOf(at);
      if (!claims.has(key)) claims.set(key, claim);
      return claims.get(key) ?? claim;
    },
    async replace(at, held, next) {
      const key = keyOf(at);
      if (isDeepStrictEqual(claims.get(key) ?? held, held)) claims.set(key, next);
      return claims.get(key) ?? next;
    },
    async join(at, held) {
      if (!isDeepStrictEqual(claims.get(keyOf(at)), held)) return false;
      claims.set(keyOf(at), { ...held, isJoined: true });
      return true;
    },
    async release(at, id) {
      if (claims.get(keyOf(at))?.id === id) claims.delete(keyOf(at));
    },
  };
  return failInOutage(keys, outage);
}

export function createFakeWorkerRegistry(outage: Outage = { away: false }): WorkerRegistry {
  const workers = new Map<string, WorkerFacts>();
  const registry: WorkerRegistry = {
    async register(facts) {
      workers.set(facts.id, facts);
    },
    async unregister(id) {
      workers.delete(id);
    },
    async list() {
      return [...workers.values()];
    },
  };
  return failInOutage(registry, outage);
}

/** Its window never ends, so a tenant's count only grows. */
export function createFakeRateLimiter(outage: Outage = { away: false }): RateLimiter {
  const used = new Map<string, number>();
  const limiter: RateLimiter = {
    async consume(tenant, perMinute) {
      if (perMinute === 0) return;
      const count = (used.get(tenant) ?? 0) + 1;
      used.set(tenant, count);
      if (count > perMinute) throw new LivegateError('rate_limited', { retryAfterSeconds: 60 });
    },
  };
  return failInOutage(limiter, outage);
}

export interface FakeGatewayRegistry extends GatewayRegistry {
  /** The `caller` of a check for which a caller waits at this gateway. */
  stateOf(address: string): Demand['caller'];
}

export function createFakeGatewayRegistry({ awayMs = 3000 } = {}): FakeGatewayRegistry {
  const renewals = new Map<string, { at: number; goneMs: number }>();
  const stateOf = (address: string) => {
    const renewal = renewals.get(address);
    const silentMs = renewal ? performance.now() - renewal.at : Infinity;
    if (silentMs >= (renewal?.goneMs ?? 0)) return 'gone';
    return silentMs > awayMs ? 'away' : undefined;
  };
  return {
    async renew(address, goneMs) {
      renewals.set(address, { at: performance.now(), goneMs });
    },
    stateOf,
  };
}

export interface FakeDemandOptions extends Pick<Cancellations, 'find'> {
  /** Whether a tenant has webhook endpoints. */
  hasEndpoints?(tenant: string): Promise<boolean>;
  /** Without it, every caller waits. */
  stateOf?: FakeGatewayRegistry['stateOf'];
}

export function createFakeDemands({
  find,
  hasEndpoints = async () => false,
  stateOf = () => undefined,
}: FakeDemandOptions): Demands {
  return {
    async find(checks) {
      const canceled = await find(checks.map(({ id }) => id));
      return Promise.all(
        checks.map(async ({ id, tenant, waiter }) => {
          const isNotified = await hasEndpoints(tenant);
          const caller = isNotified || waiter === undefined ? undefined : stateOf(waiter);
          return { cancellation: canceled.get(id), caller, hasEndpoints: isNotified };
        }),
      );
    },
  };
}
