import { randomUUID } from 'node:crypto';
import type {
  AuditSink,
  Cancellation,
  Demands,
  GatewayRegistry,
  IdempotencyKeys,
  ImageStore,
  RateLimiter,
  WorkerRegistry,
} from '@livegate/core/ports';
import { describe, expect, it } from 'vitest';
import { exampleWorker } from '../examples.js';
import { type CreatePort, openPort } from './open-port.js';

function bytesOf(found: Uint8Array | Error | undefined): number[] {
  return found instanceof Uint8Array ? [...found] : [];
}

export function describeImageStore(create: CreatePort<ImageStore>): void {
  describe('ImageStore', () => {
    it('returns the stored bytes in the order of the ids, every time', async () => {
      const store = await openPort(create);
      const [a, b] = [randomUUID(), randomUUID()];
      await store.put(a, Uint8Array.of(0, 255, 1));
      await store.put(b, Uint8Array.of(7));
      for (let attempt = 0; attempt < 2; attempt++) {
        const [second, none, first] = await store.get([b, randomUUID(), a]);
        expect(bytesOf(second)).toEqual([7]);
        expect(none).toBeUndefined();
        expect(bytesOf(first)).toEqual([0, 255, 1]);
      }
    });

    it('stores only the viewed part of a larger buffer', async () => {
      const store = await openPort(create);
      const id = randomUUID();
      await store.put(id, Uint8Array.of(1, 2, 3, 4).subarray(1, 3));
      const [bytes] = await store.get([id]);
      expect(bytesOf(bytes)).toEqual([2, 3]);
    });

    it('deletes an image, and does nothing the second time', async () => {
      const store = await openPort(create);
      const id = randomUUID();
      await store.put(id, Uint8Array.of(1));
      await store.delete(id);
      await store.delete(id);
      expect(await store.get([id])).toEqual([undefined]);
    });

    it('answers a ping', async () => {
      const store = await openPort(create);
      expect(await store.ping()).toBeUndefined();
    });

    it('returns an empty list for no ids', async () => {
      const store = await openPort(create);
      expect(await store.get([])).toEqual([]);
    });
  });
}

export function describeIdempotencyKeys(create: CreatePort<IdempotencyKeys>): void {
  const [first, second] = [
    { id: 'a', imageSha256: '1' },
    { id: 'b', imageSha256: '1' },
  ];
  const at = { tenant: 'acme', keySha256: 'k' };

  describe('IdempotencyKeys', () => {
    it('gives a key to the first claim, and returns that claim to the others', async () => {
      const keys = await openPort(create);
      const claims = await Promise.all([keys.claim(at, first), keys.claim(at, second)]);
      expect(claims).toEqual([first, first]);
    });

    it('keeps the keys of tenants apart', async () => {
      const keys = await openPort(create);
      await keys.claim(at, first);
      expect(await keys.claim({ ...at, tenant: 'globex' }, second)).toEqual(second);
    });

    it('lets only one of several concurrent replacements succeed', async () => {
      const keys = await openPort(create);
      await keys.claim(at, first);
      const third = { id: 'c', imageSha256: '1' };
      const claims = await Promise.all([
        keys.replace(at, first, second),
        keys.replace(at, first, third),
      ]);
      expect(claims).toEqual([second, second]);
      expect(await keys.claim(at, first)).toEqual(second);
    });

    it('replaces a claim by a claim for another image', async () => {
      const keys = await openPort(create);
      const other = { id: 'c', imageSha256: '2' };
      await keys.claim(at, first);
      expect(await keys.replace(at, first, other)).toEqual(other);
    });

    it('marks a claim as joined, and no claim that has changed or been released since', async () => {
      const keys = await openPort(create);
      await keys.claim(at, first);
      expect(await keys.join(at, first)).toBe(true);
      expect(await keys.claim(at, second)).toEqual({ ...first, isJoined: true });
      expect(await keys.join(at, first)).toBe(false);
      await keys.release(at, first.id);
      expect(await keys.join(at, first)).toBe(false);
      expect(await keys.claim(at, second)).toEqual(second);
    });

    it('does not replace a claim that has changed since it was read', async () => {
      const keys = await openPort(create);
      await keys.claim(at, first);
      const stored = { ...first, isStored: true } as const;
      expect(await keys.replace(at, first, stored)).toEqual(stored);
      expect(await keys.replace(at, first, second)).toEqual(stored);
    });

    it('frees a key only for the check that it maps to', async () => {
      const keys = await openPort(create);
      await keys.claim(at, first);
      await keys.release(at, second.id);
      await keys.release({ ...at, tenant: 'globex' }, first.id);
      expect(await keys.claim(at, second)).toEqual(first);
      await keys.release(at, first.id);
      await keys.release(at, first.id);
      expect(await keys.claim(at, second)).toEqual(second);
    });
  });
}

export function describeWorkerRegistry(create: CreatePort<WorkerRegistry>): void {
  describe('WorkerRegistry', () => {
    it('lists a registered worker once, until it unregisters', async () => {
      const registry = await openPort(create);
      expect(await registry.list()).toEqual([]);
      await registry.register(exampleWorker);
      await registry.register(exampleWorker);
      expect(await registry.list()).toEqual([exampleWorker]);
      await registry.unregister(exampleWorker.id);
      await registry.unregister(exampleWorker.id);
      expect(await registry.list()).toEqual([]);
    });
  });
}

export function describeRateLimiter(create: CreatePort<RateLimiter>): void {
  describe('RateLimiter', () => {
    it('refuses a tenant beyond its limit with a retry time, and no other tenant', async () => {
      const limiter = await openPort(create);
      await limiter.consume('acme', 2);
      await limiter.consume('acme', 2);
      const refusal = await limiter.consume('acme', 2).catch((error: unknown) => error);
      expect(refusal).toMatchObject({ code: 'rate_limited' });
      const { retryAfterSeconds } = refusal as { retryAfterSeconds: number };
      expect(retryAfterSeconds).toBeGreaterThan(0);
      expect(retryAfterSeconds).toBeLessThanOrEqual(60);
      await limiter.consume('globex', 2);
    });

    it('has no limit at 0 per minute', async () => {
      const limiter = await openPort(create);
      await limiter.consume('acme', 0);
      await expect(limiter.consume('acme', 0)).resolves.toBeUndefined();
    });
  });
}

export interface ReadableAuditSink extends AuditSink {
  /** All lines that it has. */
  lines(): Promise<string[]>;
}

export function describeAuditSink(name: string, create: CreatePort<ReadableAuditSink>): void {
  describe(`AuditSink: ${name}`, () => {
    it('keeps all lines in order', async () => {
      const sink = await openPort(create);
      await sink.append(['a']);
      await sink.append(['b "quoted"', 'c é']);
      expect(await sink.lines()).toEqual(['a', 'b "quoted"', 'c é']);
    });
  });
}

/** Demands for which a gateway is away 50 ms after its last renewal. */
export interface QuickDemands {
  demands: Demands;
  gateways: GatewayRegistry;
  /** Cancels or deletes a check before its end. */
  mark(id: string, cancellation: Cancellation): Promise<unknown>;
  /** A tenant with webhook endpoints. */
  notified: string;
}

export function describeDemands(create: CreatePort<QuickDemands>): void {
  const eventually = { timeout: 10_000, interval: 5 };
  const check = (waiter?: string) => ({ id: randomUUID(), tenant: 'acme', waiter });
  const wanted = { hasEndpoints: false };

  describe('Demands and GatewayRegistry', () => {
    it('find the callers whose gateway is late or gone, in the order of their checks', async () => {
      const { demands, gateways } = await openPort(create);
      const [late, gone, never] = [randomUUID(), randomUUID(), randomUUID()];
      const checks = [check(late), check(), check(gone), check(never)];
      expect(await demands.find([])).toEqual([]);
      await gateways.renew(late, 60_000);
      await gateways.renew(gone, 100);
      const find = async () => (await demands.find(checks)).map(({ caller }) => caller);
      await expect.poll(find, eventually).toEqual(['away', undefined, 'gone', 'gone']);
      await gateways.renew(late, 60_000);
      expect(await demands.find(checks.slice(0, 2))).toEqual([wanted, wanted]);
    });

    it('find a check wanted, by whatever gateway, whose tenant has webhook endpoints', async () => {
      const { demands, notified } = await openPort(create);
      const checks = [randomUUID(), undefined].map((waiter) => ({
        ...check(waiter),
        tenant: notified,
      }));
      const notify = { hasEndpoints: true };
      expect(await demands.find(checks)).toEqual([notify, notify]);
    });

    it('find canceled and deleted checks', async () => {
      const { demands, mark } = await openPort(create);
      const checks = [check(), check(), check()];
      await mark(checks[0]!.id, 'canceled');
      await mark(checks[2]!.id, 'deleted');
      expect(await demands.find(checks)).toEqual([
        { ...wanted, cancellation: 'canceled' },
        wanted,
        { ...wanted, cancellation: 'deleted' },
      ]);
    });
  });
}
