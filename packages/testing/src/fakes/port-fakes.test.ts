import type { Cancellation } from '@livegate/core/ports';
import { describe } from 'vitest';
import {
  createFakeDemands,
  createFakeGatewayRegistry,
  createFakeIdempotencyKeys,
  createFakeImageStore,
  createFakeRateLimiter,
  createFakeReplies,
  createFakeWorkerRegistry,
} from './port-fakes.js';
import { createFakeMonitoring } from './monitoring-fake.js';
import { createFakeCheckQueue } from './queue-fake.js';
import { createFakeSessionStore } from './session-fake.js';
import { createFakeWebhookStore } from './webhook-fakes.js';
import { describeMonitoring } from '../contracts/monitoring-contract.js';
import {
  describeDemands,
  describeIdempotencyKeys,
  describeImageStore,
  describeRateLimiter,
  describeWorkerRegistry,
} from '../contracts/port-contracts.js';
import { describeCheckQueue } from '../contracts/queue-contract.js';
import { describeReplies } from '../contracts/reply-contract.js';
import { describeSessionStore } from '../contracts/session-contract.js';

const hasEndpoints = async (tenant: string) => tenant === 'notified';

const fake = <Port>(port: Port) => ({ port, close: async () => undefined });

describe('the in-memory fakes fulfill the contracts of their ports', () => {
  describeImageStore(async () => fake(createFakeImageStore()));
  describeCheckQueue(async () => fake(createFakeCheckQueue()));
  describeIdempotencyKeys(async () => fake(createFakeIdempotencyKeys()));
  describeReplies(async () => {
    const marks = new Map<string, Cancellation>();
    const mark = async (...marked: [string, Cancellation]) => marks.set(...marked);
    const replies = createFakeReplies();
    const outbox = replies.createOutbox({ find: async () => marks, hasEndpoints });
    return fake({ ...replies, outbox, mark, notified: 'notified' });
  });
  describeWorkerRegistry(async () => fake(createFakeWorkerRegistry()));
  describeDemands(async () => {
    const marks = new Map<string, Cancellation>();
    const mark = async (...marked: [string, Cancellation]) => marks.set(...marked);
    const gateways = createFakeGatewayRegistry({ awayMs: 50 });
    const { stateOf } = gateways;
    const demands = createFakeDemands({ find: async () => marks, hasEndpoints, stateOf });
    return fake({ demands, gateways, mark, notified: 'notified' });
  });
  describeRateLimiter(async () => fake(createFakeRateLimiter()));
  describeSessionStore(async () => fake(createFakeSessionStore()));
  describeMonitoring(async () => {
    const [queue, endpoints] = [createFakeCheckQueue(), createFakeWebhookStore()];
    return fake({ monitoring: createFakeMonitoring({ queue, endpoints }), queue, endpoints });
  });
});
