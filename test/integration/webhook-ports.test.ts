import { recordAttempt } from '@livegate/core/domain';
import { WEBHOOK_QUEUE, type WebhookJob } from '@livegate/core/ports';
import { createRedisWebhookQueue, createRedisWebhookStore } from '@livegate/core/redis';
import {
  describeWebhookQueue,
  describeWebhookStore,
  exampleDelivery,
  exampleEndpoint,
} from '@livegate/testing';
import { Queue } from 'bullmq';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findKeys, openSandbox } from '@livegate/testing/redis/sandbox';

describe('the Redis adapters fulfill the contracts of the webhook ports', () => {
  describeWebhookStore(async () => {
    const { redis, keys, close } = await openSandbox();
    return { port: createRedisWebhookStore(redis, keys), close };
  });

  describeWebhookQueue(async () => {
    const { port, close } = await openQueue();
    return { port, close };
  });
});

describe('the Redis adapters of webhooks', () => {
  it('let a delivery and its log expire a week after the last change', async () => {
    const { redis, keys, close } = await openSandbox();
    onTestFinished(close);
    const store = createRedisWebhookStore(redis, keys);
    const { id } = exampleDelivery();
    const week = 7 * 24 * 60 * 60;
    await store.addEndpoint(exampleEndpoint(), 16);
    await store.addDelivery(exampleDelivery());
    expect(await redis.ttl(keys.delivery(id))).toBeCloseTo(week, -1);
    expect(await redis.ttl(keys.deliveries('whe_1'))).toBeCloseTo(week, -1);
    await redis.expire(keys.delivery(id), 60);
    await store.updateDelivery(id, (latest) => ({ ...latest, failures: 1 }));
    expect(await redis.ttl(keys.delivery(id))).toBeCloseTo(week, -1);
  });

  it('let a delivery that has ended expire with its list: accepted after a day', async () => {
    const { redis, keys, close } = await openSandbox();
    onTestFinished(close);
    const store = createRedisWebhookStore(redis, keys);
    const { id } = exampleDelivery();
    const day = 24 * 60 * 60;
    await store.addEndpoint(exampleEndpoint(), 16);
    await store.addDelivery(exampleDelivery());
    const accepted = { at: 0, latencyMs: 0, statusCode: 200 };
    await store.updateDelivery(id, (latest) => recordAttempt(latest, accepted, 0));
    expect(await redis.ttl(keys.delivery(id))).toBeCloseTo(day, -1);
    expect(await redis.ttl(keys.endedDeliveries('whe_1'))).toBeCloseTo(7 * day, -1);
  });

  it('delete everything about an endpoint that is deleted', async () => {
    const { redis, keys, close } = await openSandbox();
    onTestFinished(close);
    const store = createRedisWebhookStore(redis, keys);
    const endpoint = exampleEndpoint();
    await store.addEndpoint(endpoint, 16);
    await store.addDelivery(exampleDelivery());
    await store.removeEndpoint(endpoint);
    expect(await findKeys(redis, `${keys.prefix}*`)).toEqual([]);
  });

  it('move a delayed delivery to the front when it is replayed', async () => {
    const { bull, port, close } = await openQueue();
    onTestFinished(close);
    const delivery = exampleDelivery();
    const data = { kind: 'deliver', deliveryId: delivery.id, receiver: 'whe_1' } as const;
    await bull.add('deliver', data, { jobId: delivery.id, delay: 60_000 });
    await port.queue.deliver(delivery);
    expect(await bull.getDelayedCount()).toBe(1);
    await port.queue.deliverNow(delivery);
    expect(await bull.getDelayedCount()).toBe(0);
    expect(await bull.getWaitingCount()).toBe(1);
  });

  it('fail with "unavailable" at once when the connection is down', async () => {
    const { redis, keys, close } = await openSandbox();
    const store = createRedisWebhookStore(redis, keys);
    const queue = createRedisWebhookQueue(redis, keys);
    onTestFinished(() => queue.close());
    await close();
    const unavailable = { code: 'unavailable' };
    await expect(store.listEndpoints('acme')).rejects.toMatchObject(unavailable);
    await expect(queue.deliver(exampleDelivery())).rejects.toMatchObject(unavailable);
  });
});

/** The adapter, and BullMQ's own view of the same queue. */
async function openQueue() {
  const sandbox = await openSandbox();
  const { redis, keys } = sandbox;
  const queue = createRedisWebhookQueue(redis, keys);
  const bull = new Queue<WebhookJob>(WEBHOOK_QUEUE, { connection: redis, prefix: keys.prefix });
  const list = async () => (await bull.getJobs()).map((job) => job.data);
  return {
    bull,
    port: { queue, store: createRedisWebhookStore(redis, keys), list },
    async close() {
      await bull.close();
      await queue.close();
      await sandbox.close();
    },
  };
}
