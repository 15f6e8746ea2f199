import { randomUUID } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SCHEMA_VERSION, type CheckOutcome } from '../domain/check.js';
import type {
  CheckQueue,
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

/** A queue together with the means to end a check as a worker would. */
export interface FinishableQueue extends CheckQueue {
  finish(id: string, outcome: CheckOutcome): Promise<void> | void;
}

export function describeCheckQueue(create: Create<FinishableQueue>): void {
  describe('CheckQueue', () => {
    it('counts what waits and knows no outcome before the end', async () => {
      const queue = await open(create);
      const id = randomUUID();
      await queue.add(id, exampleJob);
      expect(await queue.countWaiting()).toBe(1);
      expect(await queue.readOutcome(id)).toBeUndefined();
    });

    it('holds one job for one id', async () => {
      const queue = await open(create);
      const id = randomUUID();
      await queue.add(id, exampleJob);
      await queue.add(id, exampleJob);
      expect(await queue.countWaiting()).toBe(1);
    });

    it('reads back a result', async () => {
      const queue = await open(create);
      const id = randomUUID();
      await queue.add(id, exampleJob);
      await queue.finish(id, { result: exampleResult });
      expect(await queue.readOutcome(id)).toEqual({ result: exampleResult });
      expect(await queue.countWaiting()).toBe(0);
    });

    it('reads back an error by its code', async () => {
      const queue = await open(create);
      const id = randomUUID();
      await queue.add(id, exampleJob);
      await queue.finish(id, { error: 'invalid_image' });
      expect(await queue.readOutcome(id)).toEqual({ error: 'invalid_image' });
    });

    it('knows no outcome of an unknown id', async () => {
      const queue = await open(create);
      expect(await queue.readOutcome(randomUUID())).toBeUndefined();
    });

    it('carries the schema version of this code on an empty store', async () => {
      const queue = await open(create);
      expect(await queue.readSchemaVersion()).toBe(SCHEMA_VERSION);
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
      await outbox.send(inbox.address, 'b', { error: 'invalid_image' });
      await outbox.send(inbox.address, 'a', { result: exampleResult });
      expect(await a.within(5000)).toEqual({ result: exampleResult });
      expect(await b.within(5000)).toEqual({ error: 'invalid_image' });
    });

    it('keeps a reply that comes before anyone asks within when', async () => {
      const { inbox, outbox } = await openInbox(create);
      const [early, marker] = [inbox.expect('early'), inbox.expect('marker')];
      await outbox.send(inbox.address, 'early', { error: 'invalid_image' });
      await outbox.send(inbox.address, 'marker', { error: 'invalid_image' });
      await marker.within(5000);
      expect(await early.within(0)).toEqual({ error: 'invalid_image' });
    });

    it('gives up after the time limit', async () => {
      const { inbox } = await openInbox(create);
      expect(await inbox.expect('never').within(1)).toBeUndefined();
    });

    it('forgets at once when told to', async () => {
      const { inbox } = await openInbox(create);
      const waiter = inbox.expect('left');
      waiter.forget();
      waiter.forget();
      expect(await waiter.within(60_000)).toBeUndefined();
    });

    it('drops a reply that nobody waits for, and brings the next one', async () => {
      const { inbox, outbox } = await openInbox(create);
      const wanted = inbox.expect('wanted');
      await outbox.send(inbox.address, 'unwanted', { error: 'invalid_image' });
      await outbox.send(inbox.address, 'wanted', { error: 'invalid_image' });
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
