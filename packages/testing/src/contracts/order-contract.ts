import { randomUUID } from 'node:crypto';
import { queuedMs, waitBefore } from '@livegate/core/domain';
import { describe, expect, it } from 'vitest';
import { exampleAsyncJob, exampleJob } from '../examples.js';
import { type CreatePort, openPort } from './open-port.js';
import type { WorkableQueue } from './open-queue.js';

/** In which order the queue runs its checks. */
export function describeQueueOrder(create: CreatePort<WorkableQueue>): void {
  describe('the order of a CheckQueue', () => {
    it('runs a check with a waiting caller before async checks', async () => {
      const queue = await openPort(create);
      for (const id of ['early', 'late']) await queue.add(id, exampleAsyncJob);
      await queue.add('awaited', exampleJob);
      expect(await queue.countWaiting()).toBe(3);
      expect(await queue.read('early')).toMatchObject({ status: 'queued' });
      for (const id of ['awaited', 'early', 'late']) expect(await queue.takeNext()).toBe(id);
      expect(await queue.takeNext()).toBeUndefined();
    });

    it('runs a prioritized check before other async checks', async () => {
      const queue = await openPort(create);
      for (const id of ['early', 'late']) await queue.add(id, exampleAsyncJob);
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
      await queue.add('b', { ...exampleAsyncJob, tenant: 'b', ms: 100 });
      const queued = await queue.readFlows();
      expect([...queued.flows.keys()].toSorted()).toEqual(['async:b', 'awaited:a']);
      expect(queuedMs(queued, 'awaited:a')).toBeCloseTo(900, -2);
      for (let i = 0; i < 5; i++) await queue.takeNext();
      expect(queuedMs(await queue.readFlows(), 'awaited:a')).toBeCloseTo(400, -2);
    });

    it('counts the time of a check that a worker has delayed, for its own tenant alone', async () => {
      const queue = await openPort(create);
      await queue.add('large', ofTenant('a', 2000));
      await queue.begin('large');
      await queue.delay('large');
      const alone = await queue.readFlows();
      expect(waitBefore(alone, { flow: 'awaited:a' })).toBeCloseTo(2000, -2);
      for (let i = 0; i < 40; i++) await queue.add(`b${i}`, ofTenant('b'));
      for (let i = 0; i < 30; i++) await queue.takeNext();
      const beside = await queue.readFlows();
      expect(queuedMs(beside, 'awaited:a')).toBeCloseTo(2000, -2);
      expect(waitBefore(beside, { flow: 'awaited:c' })).toBe(0);
      expect(await queue.countWaiting()).toBe(11);
    });

    it('counts delayed checks of each lane by their weight, as far as the head has passed them', async () => {
      const queue = await openPort(create);
      const delay = async (id: string, job: typeof exampleJob) => {
        await queue.add(id, job);
        await queue.begin(id);
        await queue.delay(id);
      };
      for (const id of ['a1', 'a2']) await delay(id, { ...ofTenant('a', 300), weight: 3 });
      await delay('a3', { ...ofTenant('a', 400), isAsync: true });
      await delay('a4', { ...exampleAsyncJob, tenant: 'a', weight: 2 });
      for (let i = 0; i < 80; i++) await queue.add(`b${i}`, ofTenant('b'));
      for (let i = 0; i < 70; i++) await queue.takeNext();
      const { head, flows } = await queue.readFlows();
      expect(head).toBeGreaterThan(6000);
      expect(flows.get('awaited:a')).toMatchObject({ weight: 3 });
      expect(flows.get('awaited:a')!.tag - head).toBeCloseTo(200, 0);
      expect(flows.get('async:a')!.tag - head).toBeCloseTo(9 * 400 + (9 * 20) / 2, 0);
    });

    it('lets async checks run beside a steady stream of awaited ones', async () => {
      const queue = await openPort(create);
      for (let i = 0; i < 3; i++) await queue.add(`async${i}`, { ...exampleAsyncJob, ms: 100 });
      for (let i = 0; i < 40; i++) await queue.add(`awaited${i}`, { ...exampleJob, ms: 100 });
      const order = await takeAll(queue);
      expect(order.slice(0, 4).join()).not.toMatch(/async/);
      expect(order.slice(0, 30).join()).toMatch(/async1/);
    });

    it('runs a deferred check like an async one, or after all others', async () => {
      const queue = await openPort(create);
      for (const id of ['last', 'deferred', 'next']) await queue.add(id, exampleJob);
      await queue.add('async', exampleAsyncJob);
      await queue.defer('last', 'last');
      await queue.defer('deferred', 'async');
      await queue.defer(randomUUID(), 'async');
      expect(await takeAll(queue)).toEqual(['next', 'async', 'deferred', 'last']);
    });

    it('keeps the place of a deferred check that runs as an async one already', async () => {
      const queue = await openPort(create);
      await queue.add('first', { ...exampleJob, isAsync: true });
      await queue.add('second', exampleAsyncJob);
      const before = await queue.readFlows();
      await queue.defer('first', 'async');
      expect((await queue.readFlows()).flows).toEqual(before.flows);
      expect(await takeAll(queue)).toEqual(['first', 'second']);
    });
  });
}
