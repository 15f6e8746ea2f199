import { randomUUID } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SCHEMA_VERSION, type CheckOutcome } from '../domain/check.js';
import type {
  Cancellations,
  CheckQueue,
  IdempotencyKeys,
  ImageStore,
  RateLimiter,
  ReplyInbox,
  ReplyOutbox,
  WorkerRegistry,
} from '../ports.js';
import { exampleJob, exampleResult, exampleWorker } from './examples.js';

/** A port to test, made anew for each test, and how to let go of what it opened. */
export interface Subject<Port> {
  port: Port;
  close(): Promise<void>;
}

export type Create<Port> = () => Promise<Subject<Port>>;

async function open<Port>(create: Create<Port>): Promise<Port> {
  const { port, close } = await create();
  onTestFinished(close);
  return port;
}

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

    it('gets nothing for no ids', async () => {
      const store = await open(create);
      expect(await store.get([])).toEqual([]);
    });
  });
}

/** A queue together with the means to take and end a check as a worker would. */
export interface WorkableQueue extends CheckQueue, Cancellations {
  begin(id: string): Promise<void> | void;
  finish(id: string, outcome: CheckOutcome): Promise<void> | void;
}

export function describeCheckQueue(create: Create<WorkableQueue>): void {
  async function openWithCheck() {
    const queue = await open(create);
    const id = randomUUID();
    await queue.add(id, exampleJob);
    return { queue, id };
  }

  describe('CheckQueue', () => {
    it('counts what waits and knows no outcome before the end', async () => {
      const { queue, id } = await openWithCheck();
      expect(await queue.countWaiting()).toBe(1);
      expect(await queue.read(id)).toEqual({
        id,
        tenant: exampleJob.tenant,
        status: 'queued',
        createdAt: expect.any(Number),
      });
    });

    it('holds one job for one id', async () => {
      const { queue, id } = await openWithCheck();
      await queue.add(id, { ...exampleJob, tenant: 'other' });
      expect(await queue.countWaiting()).toBe(1);
      expect(await queue.read(id)).toMatchObject({ tenant: exampleJob.tenant });
    });

    it('tells when a worker has begun', async () => {
      const { queue, id } = await openWithCheck();
      await queue.begin(id);
      expect(await queue.read(id)).toMatchObject({
        status: 'processing',
        startedAt: expect.any(Number),
      });
      expect(await queue.countWaiting()).toBe(0);
    });

    it.each([
      [{ result: exampleResult }, 'succeeded'],
      [{ error: 'invalid_image' }, 'failed'],
    ] as const)('reads back how a check ended: %j', async (outcome, status) => {
      const { queue, id } = await openWithCheck();
      await queue.begin(id);
      await queue.finish(id, outcome);
      expect(await queue.read(id)).toMatchObject({
        status,
        outcome,
        finishedAt: expect.any(Number),
      });
    });

    it('remembers where a check is to be announced', async () => {
      const queue = await open(create);
      await queue.add('a', { ...exampleJob, webhookUrl: 'https://example.com' });
      expect(await queue.read('a')).toMatchObject({ webhookUrl: 'https://example.com' });
    });

    it('knows nothing of an unknown id', async () => {
      const queue = await open(create);
      expect(await queue.read(randomUUID())).toBeUndefined();
      expect(await queue.cancel(randomUUID())).toBe(false);
      await queue.erase(randomUUID());
    });

    it('cancels a queued check at once', async () => {
      const { queue, id } = await openWithCheck();
      expect(await queue.cancel(id)).toBe(true);
      expect(await queue.read(id)).toMatchObject({
        status: 'canceled',
        outcome: { error: 'canceled' },
      });
      expect(await queue.find([id, randomUUID()])).toEqual(new Map([[id, 'canceled']]));
    });

    it('cancels a running check when it ends, whatever its result', async () => {
      const { queue, id } = await openWithCheck();
      await queue.begin(id);
      expect(await queue.cancel(id)).toBe(true);
      expect(await queue.read(id)).toMatchObject({ status: 'processing' });
      await queue.finish(id, { result: exampleResult });
      expect(await queue.read(id)).toMatchObject({
        status: 'canceled',
        outcome: { error: 'canceled' },
      });
    });

    it('does not cancel what has ended', async () => {
      const { queue, id } = await openWithCheck();
      await queue.begin(id);
      await queue.finish(id, { result: exampleResult });
      expect(await queue.cancel(id)).toBe(false);
      expect(await queue.read(id)).toMatchObject({ status: 'succeeded' });
    });

    it('erases a queued check, which is then never run', async () => {
      const { queue, id } = await openWithCheck();
      await queue.erase(id);
      expect(await queue.read(id)).toBeUndefined();
      expect(await queue.countWaiting()).toBe(0);
    });

    it('erases a running check from sight, and tells its worker', async () => {
      const { queue, id } = await openWithCheck();
      await queue.begin(id);
      await queue.erase(id);
      expect(await queue.read(id)).toBeUndefined();
      expect(await queue.find([id])).toEqual(new Map([[id, 'erased']]));
    });

    it('erases a finished check', async () => {
      const { queue, id } = await openWithCheck();
      await queue.begin(id);
      await queue.finish(id, { result: exampleResult });
      await queue.erase(id);
      expect(await queue.read(id)).toBeUndefined();
    });

    it('carries the schema version of this code on an empty store', async () => {
      const queue = await open(create);
      expect(await queue.readSchemaVersion()).toBe(SCHEMA_VERSION);
    });
  });
}

export function describeIdempotencyKeys(create: Create<IdempotencyKeys>): void {
  const [first, second] = [
    { id: 'a', imageSha256: '1' },
    { id: 'b', imageSha256: '1' },
  ];

  describe('IdempotencyKeys', () => {
    it('gives a key to whoever comes first, and tells the others who that was', async () => {
      const keys = await open(create);
      const claims = await Promise.all([
        keys.claim('acme', 'k', first),
        keys.claim('acme', 'k', second),
      ]);
      expect(claims).toEqual([first, first]);
    });

    it('keeps the keys of tenants apart', async () => {
      const keys = await open(create);
      await keys.claim('acme', 'k', first);
      expect(await keys.claim('globex', 'k', second)).toEqual(second);
    });

    it('lets one of several replace the claim they all saw', async () => {
      const keys = await open(create);
      const at = { tenant: 'acme', key: 'k' };
      await keys.claim('acme', 'k', first);
      const third = { id: 'c', imageSha256: '1' };
      const claims = await Promise.all([
        keys.replace(first, second, at),
        keys.replace(first, third, at),
      ]);
      expect(claims).toEqual([second, second]);
      expect(await keys.claim('acme', 'k', first)).toEqual(second);
    });
  });
}

export interface Replies {
  createInbox(gatewayId: string): ReplyInbox;
  outbox: ReplyOutbox;
}

export function describeReplies(create: Create<Replies>): void {
  describe('ReplyInbox and ReplyOutbox', () => {
    it('brings each reply to the one who waits for it, in any order', async () => {
      const { inbox, outbox } = await openInbox(create);
      const [a, b] = [inbox.expect('a'), inbox.expect('b')];
      await outbox.send('b', { error: 'invalid_image' }, inbox.address);
      await outbox.send('a', { result: exampleResult }, inbox.address);
      expect(await a.within(5000)).toEqual({ result: exampleResult });
      expect(await b.within(5000)).toEqual({ error: 'invalid_image' });
    });

    it('keeps a reply that comes before anyone asks within when', async () => {
      const { inbox, outbox } = await openInbox(create);
      const [early, marker] = [inbox.expect('early'), inbox.expect('marker')];
      await outbox.send('early', { error: 'invalid_image' }, inbox.address);
      await outbox.send('marker', { error: 'invalid_image' }, inbox.address);
      await marker.within(5000);
      expect(await early.within(0)).toEqual({ error: 'invalid_image' });
    });

    it('gives up after the time limit', async () => {
      const { inbox } = await openInbox(create);
      expect(await inbox.expect('never').within(1)).toBeUndefined();
    });

    it('goes on waiting when asked again', async () => {
      const { inbox, outbox } = await openInbox(create);
      const waiter = inbox.expect('late');
      expect(await waiter.within(1)).toBeUndefined();
      await outbox.send('late', { error: 'invalid_image' }, inbox.address);
      expect(await waiter.within(5000)).toEqual({ error: 'invalid_image' });
    });

    it('forgets at once when told to', async () => {
      const { inbox } = await openInbox(create);
      const waiter = inbox.expect('left');
      waiter.forget();
      waiter.forget();
      expect(await waiter.within(60_000)).toBeUndefined();
    });

    it('tells every gateway that attached to a check, each once', async () => {
      const { createInbox, outbox } = await open(create);
      const inboxes = [createInbox(randomUUID()), createInbox(randomUUID())];
      onTestFinished(async () => void (await Promise.all(inboxes.map((inbox) => inbox.close()))));
      const own = inboxes[0]?.expect('a');
      const attached = await Promise.all(inboxes.map((inbox) => inbox.attach('a')));
      await outbox.send('a', { result: exampleResult }, inboxes[0]?.address);
      for (const waiter of [own, ...attached]) {
        expect(await waiter?.within(5000)).toEqual({ result: exampleResult });
      }
    });

    it('drops a reply that nobody waits for, and brings the next one', async () => {
      const { inbox, outbox } = await openInbox(create);
      const wanted = inbox.expect('wanted');
      await outbox.send('unwanted', { error: 'invalid_image' }, inbox.address);
      await outbox.send('wanted', { error: 'invalid_image' }, inbox.address);
      expect(await wanted.within(5000)).toEqual({ error: 'invalid_image' });
    });
  });
}

async function openInbox(create: Create<Replies>) {
  const { createInbox, outbox } = await open(create);
  const inbox = createInbox(randomUUID());
  onTestFinished(() => inbox.close());
  return { inbox, outbox };
}

export function describeWorkerRegistry(create: Create<WorkerRegistry>): void {
  describe('WorkerRegistry', () => {
    it('lists who announced itself, once, until it withdraws', async () => {
      const registry = await open(create);
      expect(await registry.list()).toEqual([]);
      await registry.announce(exampleWorker);
      await registry.announce(exampleWorker);
      expect(await registry.list()).toEqual([exampleWorker]);
      await registry.withdraw(exampleWorker.id);
      await registry.withdraw(exampleWorker.id);
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
