import { randomUUID } from 'node:crypto';
import {
  type Delivery,
  disableEndpoint,
  failDelivery,
  replayDelivery,
  rotateSecrets,
} from '@livegate/core/domain';
import type { WebhookStore } from '@livegate/core/ports';
import { describe, expect, it } from 'vitest';
import { type CreatePort, openPort } from './open-port.js';
import { exampleDelivery, exampleEndpoint } from '../webhook-examples.js';

const at = (tenant: string, id: string) => ({ tenant, id });

export function describeWebhookStore(create: CreatePort<WebhookStore>): void {
  describe('WebhookStore, endpoints', () => {
    it('lists the endpoints of one tenant, oldest first', async () => {
      const store = await openPort(create);
      const second = exampleEndpoint({ id: 'whe_2', createdAt: 2 });
      const first = exampleEndpoint({ id: 'whe_1', createdAt: 1 });
      for (const endpoint of [second, first]) await store.addEndpoint(endpoint, 16);
      expect(await store.listEndpoints('acme')).toEqual([first, second]);
      expect(await store.listEndpoints('globex')).toEqual([]);
    });

    it('shows, changes and removes an endpoint for its own tenant only', async () => {
      const store = await openPort(create);
      const endpoint = exampleEndpoint();
      await store.addEndpoint(endpoint, 16);
      const [own, others] = [at('acme', endpoint.id), at('globex', endpoint.id)];
      const disable = (latest: typeof endpoint) => disableEndpoint(latest, 'gone');
      expect(await store.readEndpoint(others)).toBeUndefined();
      expect(await store.updateEndpoint(others, disable)).toBeUndefined();
      expect(await store.removeEndpoint(others)).toBeUndefined();
      expect(await store.readEndpoint(own)).toEqual(endpoint);
      expect(await store.updateEndpoint(own, disable)).toMatchObject({ enabled: false });
      expect(await store.readEndpoint(own)).toMatchObject({ disabledReason: 'gone' });
      expect(await store.removeEndpoint(own)).toEqual([]);
      expect(await store.removeEndpoint(own)).toBeUndefined();
    });

    it('refuses endpoints beyond the limit of a tenant, also concurrent ones', async () => {
      const store = await openPort(create);
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

    it('applies both of two concurrent changes', async () => {
      const store = await openPort(create);
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

    it("stores a tenant's secrets", async () => {
      const store = await openPort(create);
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
    async function openWithEndpoint() {
      const store = await openPort(create);
      await store.addEndpoint(exampleEndpoint(), 16);
      return store;
    }

    it('ignores a second delivery with the same id', async () => {
      const store = await openWithEndpoint();
      const delivery = exampleDelivery();
      expect(await store.addDelivery(delivery)).toBe(true);
      expect(await store.addDelivery({ ...delivery, payload: 'other' })).toBe(false);
      expect(await store.readDelivery(delivery.id)).toEqual(delivery);
      expect(await store.readDelivery(randomUUID())).toBeUndefined();
    });

    it('refuses a delivery to an endpoint that does not exist', async () => {
      const store = await openPort(create);
      expect(await store.addDelivery(exampleDelivery())).toBe(false);
      expect(await store.readDelivery(exampleDelivery().id)).toBeUndefined();
      const target = { url: 'https://example.com/' };
      expect(await store.addDelivery(exampleDelivery({ target }))).toBe(true);
    });

    it('removes all deliveries of a removed endpoint, and no others', async () => {
      const store = await openWithEndpoint();
      await store.addEndpoint(exampleEndpoint({ id: 'whe_2' }), 16);
      const ids = Array.from({ length: 103 }, (_, n) => `msg_${n}`);
      for (const id of ids) await store.addDelivery(exampleDelivery({ id }));
      const other = exampleDelivery({ id: 'msg_other', target: { endpointId: 'whe_2' } });
      await store.addDelivery(other);
      await store.updateDelivery('msg_0', (latest) => failDelivery(latest, 'endpoint_gone'));
      await store.removeEndpoint(at('acme', 'whe_1'));
      expect(await store.listDeliveries('whe_1')).toEqual([]);
      for (const id of ids) expect(await store.readDelivery(id)).toBeUndefined();
      expect(await store.listDeliveries('whe_2')).toEqual([other]);
    });

    it('keeps all pending deliveries and the latest 100 ended ones', async () => {
      const store = await openWithEndpoint();
      const ids = Array.from({ length: 104 }, (_, n) => `msg_${n}`);
      for (const [createdAt, id] of ids.entries()) {
        await store.addDelivery(exampleDelivery({ id, createdAt }));
      }
      const fail = (latest: Delivery) => failDelivery(latest, 'endpoint_gone');
      for (const id of ids.slice(1)) await store.updateDelivery(id, fail);
      const kept = await Promise.all(ids.map((id) => store.readDelivery(id)));
      const gone = ids.filter((_, n) => kept[n] === undefined);
      expect(gone).toEqual(['msg_1', 'msg_2', 'msg_3']);
      expect(kept[0]).toMatchObject({ status: 'pending' });
      expect(await store.listDeliveries('whe_1')).toHaveLength(100);
    });

    it('keeps a replayed delivery while 100 others end', async () => {
      const store = await openWithEndpoint();
      const fail = (latest: Delivery) => failDelivery(latest, 'endpoint_gone');
      await store.addDelivery(exampleDelivery({ id: 'msg_replayed', createdAt: 0 }));
      await store.updateDelivery('msg_replayed', fail);
      await store.updateDelivery('msg_replayed', (latest) => replayDelivery(latest, 1));
      for (let n = 1; n <= 101; n++) {
        await store.addDelivery(exampleDelivery({ id: `msg_${n}`, createdAt: n }));
        await store.updateDelivery(`msg_${n}`, fail);
      }
      expect(await store.readDelivery('msg_replayed')).toMatchObject({ status: 'pending' });
      expect(await store.readDelivery('msg_1')).toBeUndefined();
    });

    it('lists the deliveries of one endpoint, newest first, 100 at most', async () => {
      const store = await openWithEndpoint();
      await store.addEndpoint(exampleEndpoint({ id: 'whe_other' }), 16);
      for (let n = 0; n < 102; n++) {
        await store.addDelivery(exampleDelivery({ id: `msg_${n}`, createdAt: n }));
      }
      const target = { endpointId: 'whe_other' };
      await store.addDelivery(exampleDelivery({ id: 'msg_other', target }));
      const ids = (await store.listDeliveries('whe_1')).map(({ id }) => id);
      expect(ids).toHaveLength(100);
      expect(ids[0]).toBe('msg_101');
    });

    it('counts the pending deliveries of each endpoint, and of all URLs of a tenant', async () => {
      const store = await openWithEndpoint();
      await store.addEndpoint(exampleEndpoint({ id: 'whe_2' }), 16);
      const [own, other] = [{ endpointId: 'whe_1' }, { endpointId: 'whe_2' }];
      const urls = ['https://a.example/', 'https://b.example/'].map((url) => ({ url }));
      for (const [n, target] of [own, own, own, other, ...urls, ...urls].entries()) {
        await store.addDelivery(exampleDelivery({ id: `msg_${n}`, target }));
      }
      const url = urls[0]!;
      await store.addDelivery(exampleDelivery({ id: 'msg_globex', tenant: 'globex', target: url }));
      const count = async () => {
        const targets = [own, other, url];
        return Promise.all(targets.map((target) => store.countPending({ tenant: 'acme', target })));
      };
      expect(await count()).toEqual([3, 1, 4]);
      const fail = (latest: Delivery) => failDelivery(latest, 'endpoint_gone');
      for (const id of ['msg_0', 'msg_1', 'msg_4', 'msg_5']) await store.updateDelivery(id, fail);
      await store.updateDelivery('msg_1', (latest) => replayDelivery(latest, 1));
      expect(await count()).toEqual([2, 1, 2]);
      await store.deleteDeliveries(['msg_2', 'msg_3', 'msg_6']);
      expect(await count()).toEqual([1, 0, 1]);
    });

    it('changes a delivery, and nothing for an unknown id', async () => {
      const store = await openWithEndpoint();
      const { id } = exampleDelivery();
      const fail = (latest: Delivery) => failDelivery(latest, 'endpoint_deleted');
      expect(await store.updateDelivery(id, fail)).toBeUndefined();
      await store.addDelivery(exampleDelivery());
      expect(await store.updateDelivery(id, fail)).toMatchObject({ status: 'failed' });
      expect(await store.readDelivery(id)).toMatchObject({ failure: 'endpoint_deleted' });
    });

    it('deletes deliveries, and removes them from the list', async () => {
      const store = await openWithEndpoint();
      await store.addDelivery(exampleDelivery());
      await store.deleteDeliveries([exampleDelivery().id, 'msg_unknown']);
      await store.deleteDeliveries([]);
      expect(await store.readDelivery(exampleDelivery().id)).toBeUndefined();
      expect(await store.listDeliveries('whe_1')).toEqual([]);
    });
  });
}
