import {
  createDelivery,
  createWebhookSecret,
  type Delivery,
  type NewDelivery,
  type WebhookEndpoint,
  webhookEventTypes,
} from '@livegate/core/domain';

const secrets = [createWebhookSecret()];

export function exampleEndpoint(changes: Partial<WebhookEndpoint> = {}): WebhookEndpoint {
  return {
    id: 'whe_1',
    tenant: 'acme',
    url: 'https://example.com/hook',
    events: [...webhookEventTypes],
    enabled: true,
    createdAt: 1,
    secrets,
    ...changes,
  };
}

export function exampleDelivery(changes: Partial<NewDelivery> = {}): Delivery {
  return createDelivery({
    id: 'msg_1',
    tenant: 'acme',
    target: { endpointId: 'whe_1' },
    type: 'passive_liveness.completed',
    payload: '{"type":"passive_liveness.completed"}',
    createdAt: 1,
    ...changes,
  });
}
