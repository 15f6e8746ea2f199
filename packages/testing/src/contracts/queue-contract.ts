import { randomUUID } from 'node:crypto';
import { type CheckOutcome, queuedMs, SCHEMA_VERSION } from '@livegate/core/domain';
import type { Cancellations, CheckQueue } from '@livegate/core/ports';
import { describe, expect, it } from 'vitest';
import { exampleJob, exampleResult } from '../examples.js';
import { type CreatePort, openPort } from './open-port.js';

/** A queue, with methods that take and end a check as a worker does. */
export interface WorkableQueue extends CheckQueue, Cancellations {
  takeNext(): Promise<string | undefined> | string | undefined;
  begin(id: string): Promise<void> | void;
  /** Ends an attempt by a fault of ours; the next attempt may start at once. */
  retry(id: string): Promise<void> | void;
  finish(id: string, outcome: CheckOutcome): Promise<void> | void;
}

const { replyTo: _, ...asyncJob } = exampleJob;

export function describeCheckQueue(create: CreatePort<WorkableQueue>): void {
  async function openWithCheck() {
    const queue = await openPort(create);
    const id = randomUUID();
    await queue.add(id, exampleJob);
    return { queue, id };
  }

  describe('CheckQueue', () => {
    it('counts a waiting check, whose record has no outcome', async () => {
      const { queue, id } = await openWithCheck();
      expect(await queue.countWaiting()).toBe(1);
      expect(await queue.read(id)).toEqual({
        id,
        tenant: exampleJob.tenant,
        status: 'queued',
        createdAt: expect.any(Number),
      });
    });

    it('ignores a second job with the same id', async () => {
      const { queue, id } = await openWithCheck();
      await queue.add(id, { ...exampleJob, tenant: 'other' });
      expect(await queue.countWaiting()).toBe(1);
      expect(await queue.read(id)).toMatchObject({ tenant: exampleJob.tenant });
    });

    it('reports a check as processing once a worker has taken it', async () => {
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

    it('puts a check back into the queue when an attempt fails by a fault of ours', async () => {
      const { queue, id } = await openWithCheck();
      await queue.begin(id);
      await queue.retry(id);
      const record = await queue.read(id);
      expect(record).toMatchObject({ status: 'queued' });
      expect(record).not.toHaveProperty('outcome');
      expect(await queue.countWaiting()).toBe(1);
      expect(await queue.takeNext()).toBe(id);
    });

    it.each([
      [{ result: exampleResult }, 'succeeded'],
      [{ error: 'internal_error' }, 'failed'],
    ] as const)('reads back how the last attempt ended, not an earlier one: %j', async (...end) => {
      const [outcome, status] = end;
      const { queue, id } = await openWithCheck();
      await queue.begin(id);
      await queue.retry(id);
      await queue.begin(id);
      await queue.finish(id, outcome);
      expect(await queue.read(id)).toMatchObject({ status, outcome });
    });

    it('runs a check with a waiting caller before async checks', async () => {
      const queue = await openPort(create);
      for (const id of ['early', 'late']) await queue.add(id, asyncJob);
      await queue.add('awaited', exampleJob);
      expect(await queue.countWaiting()).toBe(3);
      expect(await queue.read('early')).toMatchObject({ status: 'queued' });
      for (const id of ['awaited', 'early', 'late']) expect(await queue.takeNext()).toBe(id);
      expect(await queue.takeNext()).toBeUndefined();
    });

    it('runs a prioritized check before other async checks', async () => {
      const queue = await openPort(create);
      for (const id of ['early', 'late']) await queue.add(id, asyncJob);
      await queue.add('awaited', exampleJob);
      await queue.prioritize('late');
      await queue.prioritize('late');
      await queue.prioritize(randomUUID());
      for (const id of ['awaited', 'late', 'early']) expect(await queue.takeNext()).toBe(id);
      await queue.prioritize('early');
      expect(await queue.countWaiting()).toBe(0);
    });

    const ofTenant = (tenant: string, ms = 100) => ({ ...exampleJob, tenant, ms });
    const askOf = (tenant: string, maxWaitMs?: number) => ({
      tenant,
      isAwaited: true,
      weight: 1,
      ms: 100,
      ...(maxWaitMs !== undefined && { maxWaitMs }),
    });

    /** Takes all checks; resolves to their ids in order. */
    async function takeAll(queue: WorkableQueue): Promise<string[]> {
      const taken: string[] = [];
      for (let id = await queue.takeNext(); id !== undefined; id = await queue.takeNext()) {
        taken.push(id);
      }
      return taken;
    }

    it('runs the checks of tenants in turn, and those of one tenant in their order', async () => {
      const queue = await openPort(create);
      for (const id of ['a1', 'a2', 'a3', 'a4']) await queue.add(id, ofTenant('a'));
      for (const id of ['b1', 'b2']) await queue.add(id, ofTenant('b'));
      const order = await takeAll(queue);
      expect(order.filter((id) => id.startsWith('a'))).toEqual(['a1', 'a2', 'a3', 'a4']);
      expect(order.indexOf('b1')).toBeLessThan(order.indexOf('a3'));
      expect(order.indexOf('b2')).toBeLessThan(order.indexOf('a4'));
    });

    it('runs twice as much work of a tenant with twice the weight', async () => {
      const queue = await openPort(create);
      for (let i = 0; i < 30; i++) {
        await queue.add(`heavy${i}`, { ...ofTenant('heavy'), weight: 2 });
        await queue.add(`light${i}`, ofTenant('light'));
      }
      const first = (await takeAll(queue)).slice(0, 30);
      const heavy = first.filter((id) => id.startsWith('heavy')).length;
      expect(heavy).toBeGreaterThanOrEqual(19);
      expect(heavy).toBeLessThanOrEqual(21);
    });

    it('counts the time of checks, not their number', async () => {
      const queue = await openPort(create);
      for (let i = 0; i < 20; i++) await queue.add(`selfie${i}`, ofTenant('selfies', 20));
      for (let i = 0; i < 20; i++) await queue.add(`photo${i}`, ofTenant('photos', 200));
      const first = (await takeAll(queue)).slice(0, 11);
      expect(first.filter((id) => id.startsWith('photo')).length).toBeLessThanOrEqual(2);
    });

    it('refuses a rank to a tenant whose own checks would make it wait, and to no other', async () => {
      const queue = await openPort(create);
      for (let i = 0; i < 10; i++) await queue.add(`a${i}`, ofTenant('a'));
      await expect(queue.takeRank(askOf('a', 800))).rejects.toMatchObject({
        code: 'overloaded',
        retryAfterSeconds: 1,
      });
      await queue.takeRank(askOf('a', 1000));
      await queue.takeRank(askOf('b', 1));
    });

    it('reads how much of each tenant is queued, which ends with the queue', async () => {
      const queue = await openPort(create);
      for (let i = 0; i < 10; i++) await queue.add(`a${i}`, ofTenant('a'));
      await queue.add('b', { ...asyncJob, tenant: 'b', ms: 100 });
      const queued = await queue.readFlows();
      expect([...queued.flows.keys()].toSorted()).toEqual(['async:b', 'awaited:a']);
      expect(queuedMs(queued, 'awaited:a')).toBeCloseTo(900, -2);
      for (let i = 0; i < 5; i++) await queue.takeNext();
      expect(queuedMs(await queue.readFlows(), 'awaited:a')).toBeCloseTo(400, -2);
    });

    it('lets async checks run beside a steady stream of awaited ones', async () => {
      const queue = await openPort(create);
      for (let i = 0; i < 3; i++) await queue.add(`async${i}`, { ...asyncJob, ms: 100 });
      for (let i = 0; i < 40; i++) await queue.add(`awaited${i}`, { ...exampleJob, ms: 100 });
      const order = await takeAll(queue);
      expect(order.slice(0, 4).join()).not.toMatch(/async/);
      expect(order.slice(0, 30).join()).toMatch(/async1/);
    });

    it('runs a deferred check like an async one, or after all others', async () => {
      const queue = await openPort(create);
      for (const id of ['last', 'deferred', 'next']) await queue.add(id, exampleJob);
      await queue.add('async', asyncJob);
      await queue.defer('last', 'last');
      await queue.defer('deferred', 'async');
      await queue.defer(randomUUID(), 'async');
      expect(await takeAll(queue)).toEqual(['next', 'async', 'deferred', 'last']);
    });

    it('keeps the place of a deferred check that runs as an async one already', async () => {
      const queue = await openPort(create);
      await queue.add('first', { ...exampleJob, isAsync: true });
      await queue.add('second', asyncJob);
      const before = await queue.readFlows();
      await queue.defer('first', 'async');
      expect((await queue.readFlows()).flows).toEqual(before.flows);
      expect(await takeAll(queue)).toEqual(['first', 'second']);
    });

    it('cancels and deletes an async check like any other', async () => {
      const queue = await openPort(create);
      for (const id of ['a', 'b']) await queue.add(id, asyncJob);
      expect(await queue.cancel('a')).toBe(true);
      expect(await queue.read('a')).toMatchObject({ status: 'canceled' });
      await queue.delete('b');
      expect(await queue.read('b')).toBeUndefined();
      expect(await queue.countWaiting()).toBe(1);
    });

    it('stores the webhook URL and the base URL of a check', async () => {
      const queue = await openPort(create);
      const facts = { webhookUrl: 'https://example.com', baseUrl: 'https://liveness.example' };
      await queue.add('a', { ...exampleJob, ...facts });
      expect(await queue.read('a')).toMatchObject(facts);
    });

    it('finds nothing for an unknown id', async () => {
      const queue = await openPort(create);
      expect(await queue.read(randomUUID())).toBeUndefined();
      expect(await queue.cancel(randomUUID())).toBe(false);
      await queue.hide(randomUUID());
      await queue.delete(randomUUID());
      expect(await queue.listHidden()).toEqual([]);
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

    it('shows when a queued check was canceled, and no start, also once a worker drops it', async () => {
      const { queue, id } = await openWithCheck();
      await queue.cancel(id);
      const canceled = await queue.read(id);
      expect(canceled).toMatchObject({ finishedAt: expect.any(Number) });
      expect(canceled).not.toHaveProperty('startedAt');
      await queue.begin(id);
      await queue.finish(id, { error: 'canceled' });
      expect(await queue.read(id)).toEqual(canceled);
    });

    it('cancels a running check at its end, whatever its result', async () => {
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

    it('does not cancel a check that has ended', async () => {
      const { queue, id } = await openWithCheck();
      await queue.begin(id);
      await queue.finish(id, { result: exampleResult });
      expect(await queue.cancel(id)).toBe(false);
      expect(await queue.read(id)).toMatchObject({ status: 'succeeded' });
    });

    it('deletes a queued check, which then never runs', async () => {
      const { queue, id } = await openWithCheck();
      await queue.delete(id);
      expect(await queue.read(id)).toBeUndefined();
      expect(await queue.countWaiting()).toBe(0);
    });

    it('hides a deleted check while it runs, and marks it for its worker', async () => {
      const { queue, id } = await openWithCheck();
      await queue.begin(id);
      await queue.delete(id);
      expect(await queue.read(id)).toBeUndefined();
      expect(await queue.find([id])).toEqual(new Map([[id, 'deleted']]));
      expect(await queue.listHidden()).toEqual([{ id, tenant: exampleJob.tenant }]);
    });

    it.each([
      ['queued', []],
      ['finished', [{ result: exampleResult }]],
    ])('hides a %s check at once, and lists it until it is deleted', async (_state, outcomes) => {
      const queue = await openPort(create);
      const id = randomUUID();
      const references = { webhookUrl: 'https://example.com', keySha256: 'k' };
      await queue.add(id, { ...exampleJob, ...references });
      expect(await queue.read(id)).toMatchObject(references);
      for (const outcome of outcomes) {
        await queue.begin(id);
        await queue.finish(id, outcome);
      }
      await queue.hide(id);
      expect(await queue.read(id)).toBeUndefined();
      expect(await queue.listHidden()).toEqual([{ id, tenant: exampleJob.tenant, ...references }]);
      await queue.delete(id);
      expect(await queue.listHidden()).toEqual([]);
      expect(await queue.find([id])).toEqual(new Map());
    });

    it('keeps a deleted check hidden when it is canceled', async () => {
      const { queue, id } = await openWithCheck();
      await queue.begin(id);
      await queue.delete(id);
      expect(await queue.cancel(id)).toBe(true);
      expect(await queue.read(id)).toBeUndefined();
    });

    it('deletes a finished check', async () => {
      const { queue, id } = await openWithCheck();
      await queue.begin(id);
      await queue.finish(id, { result: exampleResult });
      await queue.delete(id);
      expect(await queue.read(id)).toBeUndefined();
    });

    it('reports the schema version of this code on an empty store', async () => {
      const queue = await openPort(create);
      expect(await queue.readSchemaVersion()).toBe(SCHEMA_VERSION);
    });
  });
}
