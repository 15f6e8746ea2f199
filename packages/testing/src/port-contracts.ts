import { randomUUID } from 'node:crypto';
import type {
  IdempotencyKeys,
  ImageStore,
  RateLimiter,
  WorkerRegistry,
} from '@livegate/core/ports';
import { describe, expect, it } from 'vitest';
import { exampleWorker } from './examples.js';
import { type Create, open } from './subject.js';

export function describeImageStore(create: Create<ImageStore>): void {
  describe('ImageStore', () => {
    it('gives back the bytes it was given, in the order asked, as often as asked', async () => {
      const store = await open(create);
      const [a, b] = [randomUUID(), randomUUID()];
      await store.put(a, Uint8Array.of(0, 255, 1));
      await store.put(b, Uint8Array.of(7));
      for (let attempt = 0; attempt < 2; attempt++) {
        const [second, none, first] = await store.get([b, randomUUID(), a]);
        expect([...(second ?? [])]).toEqual([7]);
        expect(none).toBeUndefined();
        expect([...(first ?? [])]).toEqual([0, 255, 1]);
      }
    });

    it('stores only the viewed part of a larger buffer', async () => {
      const store = await open(create);
      const id = randomUUID();
      await store.put(id, Uint8Array.of(1, 2, 3, 4).subarray(1, 3));
      const [bytes] = await store.get([id]);
      expect([...(bytes ?? [])]).toEqual([2, 3]);
    });

    it('deletes once and forgives a second time', async () => {
      const store = await open(create);
      const id = randomUUID();
      await store.put(id, Uint8Array.of(1));
      await store.delete(id);
      await store.delete(id);
      expect(await store.get([id])).toEqual([undefined]);
    });

    it('answers that it is there', async () => {
      const store = await open(create);
      expect(await store.ping()).toBeUndefined();
    });

    it('gets nothing for no ids', async () => {
      const store = await open(create);
      expect(await store.get([])).toEqual([]);
    });
  });
}

export function describeIdempotencyKeys(create: Create<IdempotencyKeys>): void {
  const [first, second] = [
    { id: 'a', imageSha256: '1' },
    { id: 'b', imageSha256: '1' },
  ];
  const at = { tenant: 'acme', keySha256: 'k' };

  describe('IdempotencyKeys', () => {
    it('gives a key to whoever comes first, and tells the others who that was', async () => {
      const keys = await open(create);
      const claims = await Promise.all([keys.claim(at, first), keys.claim(at, second)]);
      expect(claims).toEqual([first, first]);
    });

    it('keeps the keys of tenants apart', async () => {
      const keys = await open(create);
      await keys.claim(at, first);
      expect(await keys.claim({ ...at, tenant: 'globex' }, second)).toEqual(second);
    });

    it('lets one of several replace the claim they all saw', async () => {
      const keys = await open(create);
      await keys.claim(at, first);
      const third = { id: 'c', imageSha256: '1' };
      const claims = await Promise.all([
        keys.replace(at, first, second),
        keys.replace(at, first, third),
      ]);
      expect(claims).toEqual([second, second]);
      expect(await keys.claim(at, first)).toEqual(second);
    });

    it('replaces a claim by one for another image', async () => {
      const keys = await open(create);
      const other = { id: 'c', imageSha256: '2' };
      await keys.claim(at, first);
      expect(await keys.replace(at, first, other)).toEqual(other);
    });

    it('does not replace a claim that has changed since it was seen', async () => {
      const keys = await open(create);
      await keys.claim(at, first);
      const stored = { ...first, isStored: true } as const;
      expect(await keys.replace(at, first, stored)).toEqual(stored);
      expect(await keys.replace(at, first, second)).toEqual(stored);
    });

    it('frees a key for the check that holds it, and for no other', async () => {
      const keys = await open(create);
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

export function describeWorkerRegistry(create: Create<WorkerRegistry>): void {
  describe('WorkerRegistry', () => {
    it('lists who announced itself, once, until it withdraws', async () => {
      const registry = await open(create);
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

export function describeRateLimiter(create: Create<RateLimiter>): void {
  describe('RateLimiter', () => {
    it('refuses a tenant beyond its limit, says for how long, and leaves others alone', async () => {
      const limiter = await open(create);
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
      const limiter = await open(create);
      await limiter.consume('acme', 0);
      await expect(limiter.consume('acme', 0)).resolves.toBeUndefined();
    });
  });
}
