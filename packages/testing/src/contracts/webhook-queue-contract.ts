import { randomUUID } from 'node:crypto';
import type { WebhookJob, WebhookQueue, WebhookStore } from '@livegate/core/ports';
import { describe, expect, it } from 'vitest';
import { type CreatePort, openPort } from './open-port.js';
import { exampleDelivery, exampleEndpoint } from '../webhook-examples.js';

/** A queue with its store of endpoints; `list` returns the queued jobs. */
export interface ObservedWebhookQueue {
  queue: WebhookQueue;
  store: WebhookStore;
  list(): Promise<WebhookJob[]>;
}

export function describeWebhookQueue(create: CreatePort<ObservedWebhookQueue>): void {
  describe('WebhookQueue', () => {
    it('adds no job for a check without a webhook', async () => {
      const { queue, list } = await openPort(create);
      await queue.announce({ id: randomUUID(), tenant: 'acme' });
      expect(await list()).toEqual([]);
    });

    it('asks for no endpoints if it is said whether there are any', async () => {
      const { queue, store, list } = await openPort(create);
      await store.addEndpoint(exampleEndpoint(), 16);
      const [silent, told] = ['acme', 'other'].map((tenant) => ({ id: randomUUID(), tenant }));
      await queue.announce(silent!, false);
      await queue.announce(told!, true);
      expect(await list()).toEqual([{ kind: 'announce', check: told }]);
    });

    it('adds one job, with only its facts, for a check that is announced twice', async () => {
      const { queue, store, list } = await openPort(create);
      await store.addEndpoint(exampleEndpoint(), 16);
      const check = { id: randomUUID(), tenant: 'acme' };
      const more = { ...check, imageBytes: 3 };
      await queue.announce(more);
      await queue.announce(check);
      expect(await list()).toEqual([{ kind: 'announce', check }]);
    });

    it('adds a job for a check with a webhook_url', async () => {
      const { queue, list } = await openPort(create);
      const check = { id: randomUUID(), tenant: 'acme', webhookUrl: 'https://example.com/' };
      await queue.announce(check, false);
      expect(await list()).toEqual([{ kind: 'announce', check }]);
    });

    it('adds one job for a delivery that is queued repeatedly, now or later', async () => {
      const { queue, list } = await openPort(create);
      const delivery = exampleDelivery();
      await queue.deliver(delivery);
      await queue.deliver(delivery);
      await queue.deliverNow(delivery);
      const { id: deliveryId, tenant } = delivery;
      const job = { kind: 'deliver', deliveryId, receiver: 'whe_1', tenant };
      expect(await list()).toEqual([job]);
    });

    it('removes the announcement and the deliveries of one check, and of no other', async () => {
      const { queue, list } = await openPort(create);
      const [deleted, kept] = ['a', 'b'].map((id) => ({
        id,
        tenant: 'acme',
        webhookUrl: 'https://example.com/',
      }));
      for (const check of [deleted!, kept!]) await queue.announce(check);
      await queue.deliver(exampleDelivery());
      const deliveryIds = [exampleDelivery().id, 'msg_unknown'];
      await queue.withdraw({ checkId: deleted!.id, deliveryIds });
      expect(await list()).toEqual([{ kind: 'announce', check: kept }]);
    });
  });
}
