import {
  deliveryIdOf,
  type AnnouncedCheck,
  type WebhookQueue,
  type WebhookStore,
} from '@livegate/core';

export interface EraseMessagesDeps {
  store: WebhookStore;
  queue: WebhookQueue;
}

/** Erases what was or will be sent about one check. What is pending is not sent any more. */
export type EraseMessages = (check: AnnouncedCheck) => Promise<void>;

/** The ids of a check's messages follow from its receivers: there is no list of them to keep. */
export function createEraseMessages({ store, queue }: EraseMessagesDeps): EraseMessages {
  return async ({ id, tenant, webhookUrl }) => {
    const endpoints = await store.listEndpoints(tenant);
    const targets = endpoints.map((endpoint) => ({ endpointId: endpoint.id }));
    const ids = targets.map((target) => deliveryIdOf(id, target));
    if (webhookUrl) ids.push(deliveryIdOf(id, { url: webhookUrl }));
    await store.eraseDeliveries(ids);
    await queue.withdraw(id, ids);
  };
}
