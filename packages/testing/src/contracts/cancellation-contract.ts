import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { exampleAsyncJob, exampleJob, exampleResult } from '../examples.js';
import { type CreatePort, openPort } from './open-port.js';
import { openWithCheck, type WorkableQueue } from './open-queue.js';

/** How checks end, or disappear, by their callers. */
export function describeCancellations(create: CreatePort<WorkableQueue>): void {
  describe('Cancellations', () => {
    it('cancels and deletes an async check like any other', async () => {
      const queue = await openPort(create);
      for (const id of ['a', 'b']) await queue.add(id, exampleAsyncJob);
      expect(await queue.cancel('a')).toBe(true);
      expect(await queue.read('a')).toMatchObject({ status: 'canceled' });
      await queue.delete('b');
      expect(await queue.read('b')).toBeUndefined();
      expect(await queue.countWaiting()).toBe(1);
    });

    it('cancels a queued check at once', async () => {
      const { queue, id } = await openWithCheck(create);
      expect(await queue.cancel(id)).toBe(true);
      expect(await queue.read(id)).toMatchObject({
        status: 'canceled',
        outcome: { error: 'canceled' },
      });
      expect(await queue.find([id, randomUUID()])).toEqual(new Map([[id, 'canceled']]));
    });

    it('shows when a queued check was canceled, and no start, also once a worker drops it', async () => {
      const { queue, id } = await openWithCheck(create);
      await queue.cancel(id);
      const canceled = await queue.read(id);
      expect(canceled).toMatchObject({ finishedAt: expect.any(Number) });
      expect(canceled).not.toHaveProperty('startedAt');
      await queue.begin(id);
      await queue.finish(id, { error: 'canceled' });
      expect(await queue.read(id)).toEqual(canceled);
    });

    it('cancels a running check at its end, whatever its result', async () => {
      const { queue, id } = await openWithCheck(create);
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
      const { queue, id } = await openWithCheck(create);
      await queue.begin(id);
      await queue.finish(id, { result: exampleResult });
      expect(await queue.cancel(id)).toBe(false);
      expect(await queue.read(id)).toMatchObject({ status: 'succeeded' });
    });

    it('deletes a queued check, which then never runs', async () => {
      const { queue, id } = await openWithCheck(create);
      await queue.delete(id);
      expect(await queue.read(id)).toBeUndefined();
      expect(await queue.countWaiting()).toBe(0);
    });

    it('hides a deleted check while it runs, and marks it for its worker', async () => {
      const { queue, id } = await openWithCheck(create);
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
      const { queue, id } = await openWithCheck(create);
      await queue.begin(id);
      await queue.delete(id);
      expect(await queue.cancel(id)).toBe(true);
      expect(await queue.read(id)).toBeUndefined();
    });

    it('deletes a finished check', async () => {
      const { queue, id } = await openWithCheck(create);
      await queue.begin(id);
      await queue.finish(id, { result: exampleResult });
      await queue.delete(id);
      expect(await queue.read(id)).toBeUndefined();
    });
  });
}
