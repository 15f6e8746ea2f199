import { isDeepStrictEqual } from 'node:util';
import {
  type Delivery,
  LivegateError,
  receiverOf,
  type WebhookEndpoint,
  type WebhookSecret,
} from '@livegate/core/domain';
import type { WebhookJob, WebhookQueue, WebhookStore } from '@livegate/core/ports';
import { failInOutage, type Outage } from './outage.js';

const maxListed = 100;

export function createFakeWebhookStore(outage: Outage = { away: false }): WebhookStore {
  const endpoints = new Map<string, WebhookEndpoint>();
  const secrets = new Map<string, WebhookSecret[]>();
  const deliveries = new Map<string, Delivery>();

  const endpointsOf = (tenant: string) =>
    [...endpoints.values()].filter((endpoint) => endpoint.tenant === tenant);
  const find = ({ tenant, id }: Pick<WebhookEndpoint, 'tenant' | 'id'>) =>
    endpointsOf(tenant).find((endpoint) => endpoint.id === id);

  const deliveriesOf = (endpointId: string) =>
    [...deliveries.values()]
      .filter(({ target }) => 'endpointId' in target && target.endpointId === endpointId)
      .toSorted((a, b) => b.createdAt - a.createdAt);

  function keepLatestEnded(endpointId: string): void {
    const ended = deliveriesOf(endpointId).filter(({ status }) => status !== 'pending');
    for (const { id } of ended.slice(maxListed)) deliveries.delete(id);
  }

  const store: WebhookStore = {
    async addEndpoint(endpoint, maxEndpoints) {
      if (endpointsOf(endpoint.tenant).length >= maxEndpoints) {
        throw new LivegateError('too_many_endpoints');
      }
      endpoints.set(endpoint.id, endpoint);
    },
    listEndpoints: async (tenant) =>
      endpointsOf(tenant).toSorted((a, b) => a.createdAt - b.createdAt),
    readEndpoint: async (at) => find(at),
    async updateEndpoint(at, change) {
      const endpoint = find(at);
      if (endpoint) endpoints.set(at.id, change(endpoint));
      return find(at);
    },
    async removeEndpoint(at) {
      if (!find(at)) return undefined;
      const ids = deliveriesOf(at.id).map(({ id }) => id);
      for (const id of ids) deliveries.delete(id);
      endpoints.delete(at.id);
      return ids;
    },
    readTenantSecrets: async (tenant) => secrets.get(tenant) ?? [],
    async updateTenantSecrets(tenant, change) {
      const changed = change(secrets.get(tenant) ?? []);
      secrets.set(tenant, changed);
      return changed;
    },
    async addDelivery(delivery) {
      const { id, tenant, target } = delivery;
      if (deliveries.has(id)) return false;
      if ('endpointId' in target && !find({ tenant, id: target.endpointId })) return false;
      deliveries.set(delivery.id, delivery);
      return true;
    },
    readDelivery: async (id) => deliveries.get(id),
    async updateDelivery(id, change) {
      const delivery = deliveries.get(id);
      if (!delivery) return undefined;
      const changed = change(delivery);
      deliveries.set(id, changed);
      if ('endpointId' in changed.target) keepLatestEnded(changed.target.endpointId);
      return changed;
    },
    countPending: async ({ tenant, target }) =>
      [...deliveries.values()].filter(
        (other) =>
          other.status === 'pending' &&
          ('endpointId' in target
            ? isDeepStrictEqual(other.target, target)
            : other.tenant === tenant && 'url' in other.target),
      ).length,
    listDeliveries: async (endpointId) => deliveriesOf(endpointId).slice(0, maxListed),
    async deleteDeliveries(ids) {
      for (const id of ids) deliveries.delete(id);
    },
  };
  return failInOutage(store, outage);
}

export interface FakeWebhookQueue extends WebhookQueue {
  readonly jobs: ReadonlyMap<string, WebhookJob>;
}

/** Keeps every job: no gateway takes them. */
export function createFakeWebhookQueue(
  store: WebhookStore,
  outage: Outage = { away: false },
): FakeWebhookQueue {
  const jobs = new Map<string, WebhookJob>();
  const deliver = async (delivery: Delivery) => {
    const receiver = receiverOf(delivery);
    const { id, tenant } = delivery;
    jobs.set(id, { kind: 'deliver', deliveryId: id, receiver, tenant });
  };
  const queue: WebhookQueue = {
    async announce({ id, tenant, webhookUrl }, hasEndpoints) {
      const isWanted = hasEndpoints ?? (await store.listEndpoints(tenant)).length > 0;
      if (!webhookUrl && !isWanted) return;
      const check = { id, tenant, ...(webhookUrl && { webhookUrl }) };
      jobs.set(`announce-${id}`, { kind: 'announce', check });
    },
    deliver,
    deliverNow: deliver,
    async withdraw({ checkId, deliveryIds }) {
      for (const id of [`announce-${checkId}`, ...deliveryIds]) jobs.delete(id);
    },
  };
  return { ...failInOutage(queue, outage), jobs };
}
