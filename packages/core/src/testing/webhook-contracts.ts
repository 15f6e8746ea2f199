import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { failDelivery, type Delivery } from '../domain/webhook-delivery.js';
import { disableEndpoint, rotateSecrets } from '../domain/webhooks.js';
import type { WebhookJob, WebhookQueue, WebhookStore } from '../ports.js';
import { open, type Create } from './subject.js';
import { exampleDelivery, exampleEndpoint } from './webhook-examples.js';

const at = (tenant: string, id: string) => ({ tenant, id });

export function describeWebhookStore(create: Create<WebhookStore>): void {
  describe('WebhookStore, endpoints', () => {
    it('lists the endpoints of one tenant, the oldest first', async () => {
      const store = await open(create);
      const second = exampleEndpoint({ id: 'whe_2', createdAt: 2 });
      const first = exampleEndpoint({ id: 'whe_1', createdAt: 1 });
      for (const endpoint of [second, first]) await store.addEndpoint(endpoint, 16);
      expect(await store.listEndpoints('acme')).toEqual([first, second]);
      expect(await store.listEndpoints('globex')).toEqual([]);
    });

    it('shows, changes and removes an endpoint for its own tenant only', async () => {
      const store = await open(create);
      const endpoint = exampleEndpoint();
      await store.addEndpoint(endpoint, 16);
      const [own, others] = [at('acme', endpoint.id), at('globex', endpoint.id)];
      const disable = (latest: typeof endpoint) => disableEndpoint(latest, 'gone');
      expect(await store.readEndpoint(others)).toBeUndefined();
      expect(await store.updateEndpoint(others, disable)).toBeUndefined();
      expect(await store.removeEndpoint(others)).toBe(false);
      expect(await store.readEndpoint(own)).toEqual(endpoint);
      expect(await store.updateEndpoint(own, disable)).toMatchObject({ enabled: false });
      expect(await store.readEndpoint(own)).toMatchObject({ disabledReason: 'gone' });
      expect(await store.removeEndpoint(own)).toBe(true);
      expect(await store.removeEndpoint(own)).toBe(false);
    });

    it('refuses more than a tenant may have, also when they come at once', async () => {
      const store = await open(create);
      const added = await Promise.allSettled(
        [1, 2, 3, 4].map((n) => store.addEndpoint(exampleEndpoint({ id: `whe_${n}` }), 2)),
      );
      const refused = added.filter((result) => result.status === 'rejected');
      expect(refused.map(({ reason }) => (reason as { code: string }).code)).toEqual([
        'too_many_endpoints',
        'too_many_endpoints',
      ]);
      expect(await store.listEndpoints('acme')).toHaveLength(2);
    });

    it('loses no change of two that are made at once', async () => {
      const store = await open(create);
      const { id } = exampleEndpoint();
      await store.addEndpoint(exampleEndpoint(), 16);
      const append = (text: string) =>
        store.updateEndpoint(at('acme', id), (latest) => ({
          ...latest,
          description: `${latest.description ?? ''}${text}`,
        }));
      await Promise.all(['a', 'b', 'c', 'd'].map(append));
      const description = (await store.readEndpoint(at('acme', id)))?.description ?? '';
      expect(description.split('').toSorted()).toEqual(['a', 'b', 'c', 'd']);
    });

    it("keeps a tenant's own secrets", async () => {
      const store = await open(create);
      expect(await store.readTenantSecrets('acme')).toEqual([]);
      const rotate = () =>
        store.updateTenantSecrets('acme', (latest) => rotateSecrets(latest, 0, 1000));
      const [first] = await rotate();
      const [second, replaced] = await rotate();
      expect(replaced).toEqual({ ...first, expiresAt: 1000 });
      expect(await store.readTenantSecrets('acme')).toEqual([second, replaced]);
      expect(await store.readTenantSecrets('globex')).toEqual([]);
    });
  });

  describe('WebhookStore, deliveries', () => {
    it('adds one delivery of one id', async () => {
      const store = await open(create);
      const delivery = exampleDelivery();
      expect(await store.addDelivery(delivery)).toBe(true);
      expect(await store.addDelivery({ ...delivery, payload: 'other' })).toBe(false);
      expect(await store.readDelivery(delivery.id)).toEqual(delivery);
      expect(await store.readDelivery(randomUUID())).toBeUndefined();
    });

    it('lists the deliveries of one endpoint, newest first, 100 at most', async () => {
      const store = await open(create);
      for (let n = 0; n < 102; n++) {
        await store.addDelivery(exampleDelivery({ id: `msg_${n}`, createdAt: n }));
      }
      const target = { endpointId: 'whe_other' };
      await store.addDelivery(exampleDelivery({ id: 'msg_other', target }));
      const ids = (await store.listDeliveries('whe_1')).map(({ id }) => id);
      expect(ids).toHaveLength(100);
      expect(ids[0]).toBe('msg_101');
    });

    it('changes what it knows', async () => {
      const store = await open(create);
      const { id } = exampleDelivery();
      const fail = (latest: Delivery) => failDelivery(latest, 'endpoint_deleted');
      expect(await store.updateDelivery(id, fail)).toBeUndefined();
      await store.addDelivery(exampleDelivery());
      expect(await store.updateDelivery(id, fail)).toMatchObject({ status: 'failed' });
      expect(await store.readDelivery(id)).toMatchObject({ failure: 'endpoint_deleted' });
    });

    it('erases deliveries, also from the list', async () => {
      const store = await open(create);
      await store.addDelivery(exampleDelivery());
      await store.eraseDeliveries([exampleDelivery().id, 'msg_unknown']);
      await store.eraseDeliveries([]);
      expect(await store.readDelivery(exampleDelivery().id)).toBeUndefined();
      expect(await store.listDeliveries('whe_1')).toEqual([]);
    });
  });
}

/** A queue together with a store of endpoints, and a look at what it holds. */
export interface ObservedWebhookQueue {
  queue: WebhookQueue;
  store: WebhookStore;
  list(): Promise<WebhookJob[]>;
}

export function describeWebhookQueue(create: Create<ObservedWebhookQueue>): void {
  describe('WebhookQueue', () => {
    it('holds nothing for a check that nobody wants to hear of', async () => {
      const { queue, list } = await open(create);
      await queue.announce({ id: randomUUID(), tenant: 'acme' });
      expect(await list()).toEqual([]);
    });

    it('holds one job for a check announced twice, with no more in it than its facts', async () => {
      const { queue, store, list } = await open(create);
      await store.addEndpoint(exampleEndpoint(), 16);
      const check = { id: randomUUID(), tenant: 'acme' };
      const more = { ...check, imageBytes: 3 };
      await queue.announce(more);
      await queue.announce(check);
      expect(await list()).toEqual([{ kind: 'announce', check }]);
    });

    it('holds a job for a check with a URL of its own', async () => {
      const { queue, list } = await open(create);
      const check = { id: randomUUID(), tenant: 'acme', webhookUrl: 'https://example.com/' };
      await queue.announce(check);
      expect(await list()).toEqual([{ kind: 'announce', check }]);
    });

    it('holds one job for a delivery, however often and however soon it is wanted', async () => {
      const { queue, list } = await open(create);
      const delivery = exampleDelivery();
      await queue.deliver(delivery);
      await queue.deliver(delivery);
      await queue.deliverNow(delivery);
      const { id: deliveryId, tenant } = delivery;
      const job = { kind: 'deliver', deliveryId, receiver: 'whe_1', tenant };
      expect(await list()).toEqual([job]);
    });
  });
}
