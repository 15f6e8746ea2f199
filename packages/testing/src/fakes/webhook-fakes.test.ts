import { describe } from 'vitest';
import { describeWebhookQueue } from '../contracts/webhook-queue-contract.js';
import { describeWebhookStore } from '../contracts/webhook-store-contract.js';
import { createFakeWebhookQueue, createFakeWebhookStore } from './webhook-fakes.js';

const fake = <Port>(port: Port) => ({ port, close: async () => undefined });

describe('the in-memory webhook fakes fulfill the contracts of their ports', () => {
  describeWebhookStore(async () => fake(createFakeWebhookStore()));
  describeWebhookQueue(async () => {
    const store = createFakeWebhookStore();
    const queue = createFakeWebhookQueue(store);
    return fake({ queue, store, list: async () => [...queue.jobs.values()] });
  });
});
