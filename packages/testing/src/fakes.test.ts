import { describe } from 'vitest';
import {
  createFakeCheckQueue,
  createFakeIdempotencyKeys,
  createFakeImageStore,
  createFakeRateLimiter,
  createFakeReplies,
  createFakeWorkerRegistry,
} from './fakes.js';
import {
  describeIdempotencyKeys,
  describeImageStore,
  describeRateLimiter,
  describeWorkerRegistry,
} from './port-contracts.js';
import { describeCheckQueue } from './queue-contract.js';
import { describeReplies } from './reply-contract.js';

const fake = <Port>(port: Port) => ({ port, close: async () => undefined });

describe('the fakes keep the contracts of the ports', () => {
  describeImageStore(async () => fake(createFakeImageStore()));
  describeCheckQueue(async () => fake(createFakeCheckQueue()));
  describeIdempotencyKeys(async () => fake(createFakeIdempotencyKeys()));
  describeReplies(async () => fake(createFakeReplies()));
  describeWorkerRegistry(async () => fake(createFakeWorkerRegistry()));
  describeRateLimiter(async () => fake(createFakeRateLimiter()));
});
