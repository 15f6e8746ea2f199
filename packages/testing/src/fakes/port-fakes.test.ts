import type { Cancellation } from '@livegate/core/ports';
import { describe } from 'vitest';
import {
  createFakeGatewayRegistry,
  createFakeIdempotencyKeys,
  createFakeImageStore,
  createFakeRateLimiter,
  createFakeReplies,
  createFakeWorkerRegistry,
} from './port-fakes.js';
import { createFakeCheckQueue } from './queue-fake.js';
import { createFakeSessionStore } from './session-fake.js';
import {
  describeGatewayRegistry,
  describeIdempotencyKeys,
  describeImageStore,
  describeRateLimiter,
  describeWorkerRegistry,
} from '../contracts/port-contracts.js';
import { describeCheckQueue } from '../contracts/queue-contract.js';
import { describeReplies } from '../contracts/reply-contract.js';
import { describeSessionStore } from '../contracts/session-contract.js';

const fake = <Port>(port: Port) => ({ port, close: async () => undefined });

describe('the in-memory fakes fulfill the contracts of their ports', () => {
  describeImageStore(async () => fake(createFakeImageStore()));
  describeCheckQueue(async () => fake(createFakeCheckQueue()));
  describeIdempotencyKeys(async () => fake(createFakeIdempotencyKeys()));
  describeReplies(async () => {
    const marks = new Map<string, Cancellation>();
    const mark = async (...marked: [string, Cancellation]) => marks.set(...marked);
    const replies = createFakeReplies();
    return fake({ ...replies, outbox: replies.createOutbox({ find: async () => marks }), mark });
  });
  describeWorkerRegistry(async () => fake(createFakeWorkerRegistry()));
  describeGatewayRegistry(async () => {
    const hasEndpoints = async (tenant: string) => tenant === 'notified';
    const gateways = createFakeGatewayRegistry({ awayMs: 50, hasEndpoints });
    return fake({ gateways, notified: 'notified' });
  });
  describeRateLimiter(async () => fake(createFakeRateLimiter()));
  describeSessionStore(async () => fake(createFakeSessionStore()));
});
