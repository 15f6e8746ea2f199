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
  describeCheckQueue,
  describeIdempotencyKeys,
  describeImageStore,
  describeRateLimiter,
  describeReplies,
  describeWorkerRegistry,
} from './port-contracts.js';

const fake = <Port>(port: Port) => ({ port, close: async () => undefined });

describe('the fakes keep the contracts of the ports', () => {
  describeImageStore(async () => fake(createFakeImageStore()));
  describeCheckQueue(async () => fake(createFakeCheckQueue()));
  describeIdempotencyKeys(async () => fake(createFakeIdempotencyKeys()));
  describeReplies(async () => fake(createFakeReplies()));
  describeWorkerRegistry(async () => fake(createFakeWorkerRegistry()));
  describeRateLimiter(async () => fake(createFakeRateLimiter()));
});
