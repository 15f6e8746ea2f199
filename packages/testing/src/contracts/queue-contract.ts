import { randomUUID } from 'node:crypto';
import { SCHEMA_VERSION } from '@livegate/core/domain';
import { describe, expect, it } from 'vitest';
import { exampleJob, exampleResult } from '../examples.js';
import { describeCancellations } from './cancellation-contract.js';
import { type CreatePort, openPort } from './open-port.js';
import { openWithCheck, type WorkableQueue } from './open-queue.js';
import { describeQueueOrder } from './order-contract.js';

export function describeCheckQueue(create: CreatePort<WorkableQueue>): void {
  describe('CheckQueue', () => {
    it('counts a waiting check, whose record has no outcome', async () => {
      const { queue, id } = await openWithCheck(create);
      expect(await queue.countWaiting()).toBe(1);
      expect(await queue.read(id)).toEqual({
        id,
        tenant: exampleJob.tenant,
        status: 'queued',
        createdAt: expect.any(Number),
      });
    });

    it('ignores a second job with the same id', async () => {
      const { queue, id } = await openWithCheck(create);
      await queue.add(id, { ...exampleJob, tenant: 'other' });
      expect(await queue.countWaiting()).toBe(1);
      expect(await queue.read(id)).toMatchObject({ tenant: exampleJob.tenant });
    });

    it('reports a check as processing once a worker has taken it', async () => {
      const { queue, id } = await openWithCheck(create);
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
      const { queue, id } = await openWithCheck(create);
      await queue.begin(id);
      await queue.finish(id, outcome);
      expect(await queue.read(id)).toMatchObject({
        status,
        outcome,
        finishedAt: expect.any(Number),
      });
    });

    it('puts a check back into the queue when an attempt fails by a fault of ours', async () => {
      const { queue, id } = await openWithCheck(create);
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
      const { queue, id } = await openWithCheck(create);
      await queue.begin(id);
      await queue.retry(id);
      await queue.begin(id);
      await queue.finish(id, outcome);
      expect(await queue.read(id)).toMatchObject({ status, outcome });
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

    it('reports the schema version of this code on an empty store', async () => {
      const queue = await openPort(create);
      expect(await queue.readSchemaVersion()).toBe(SCHEMA_VERSION);
    });
  });
  describeQueueOrder(create);
  describeCancellations(create);
}
