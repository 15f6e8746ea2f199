import { randomUUID } from 'node:crypto';
import {
  type CheckRecord,
  createLeases,
  type Delivery,
  recordAttempt,
  replayDelivery,
} from '@livegate/core/domain';
import { createRedisWebhookQueue, createRedisWebhookStore } from '@livegate/core/redis';
import { exampleDelivery, exampleEndpoint, exampleBody, exampleResult } from '@livegate/testing';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it, onTestFinished } from 'vitest';
import { developmentCredential } from '../../apps/api/src/credentials/credential-book.js';
import {
  createResumeDelivery,
  type DeliverMessage,
} from '../../apps/api/src/webhooks/deliver-message.js';
import { takeDeliveries } from '../../apps/api/src/webhooks/take-deliveries.js';
import {
  authOf,
  createEvents,
  type ReceivedMessage,
  startReceiver,
  startWebhooks,
} from '@livegate/testing/gateway/webhook-gateway';
import { connectWorker, findKeys, openSandbox, silentLog } from '@livegate/testing/redis/sandbox';

type Gateway = Awaited<ReturnType<typeof startWebhooks>>;

function createCheck(gateway: Gateway, changes: Partial<CheckRecord> = {}) {
  const record: CheckRecord = {
    id: randomUUID(),
    tenant: 'development',
    status: 'succeeded',
    createdAt: 1000,
    startedAt: 2000,
    finishedAt: 3000,
    baseUrl: 'https://liveness.example',
    outcome: { result: exampleResult },
    ...changes,
  };
  gateway.checks.set(record.id, record);
  return record;
}

const verify = (secret: string, { body, headers }: ReceivedMessage) =>
  new Webhook(secret).verify(body, headers);

async function listDeliveries({ call }: Gateway, endpointId: string) {
  const { body } = await call('GET', `/v1/webhook-endpoints/${endpointId}/deliveries`);
  return (body as { deliveries: unknown[] }).deliveries;
}

/** Makes the next attempt due now. */
async function prioritize({ queue }: Gateway, jobId: string) {
  await (await queue.getJob(jobId))?.promote();
}

describe('the end of a check', () => {
  it('is sent to every subscribed endpoint and to its webhook_url, each signed with its secret', async () => {
    const gateway = await startWebhooks();
    const receivers = await Promise.all([startReceiver(), startReceiver(), startReceiver()]);
    const [a, b, own] = receivers;
    const [first, second] = [
      await gateway.createEndpoint(a.url),
      await gateway.createEndpoint(b.url),
    ];
    await gateway.createEndpoint(a.url, ['passive_liveness.failed']);
    const { body } = await gateway.call('POST', '/v1/webhook-secret');
    const webhookUrl = await gateway.webhooks.acceptUrl(own.url, developmentCredential);
    const check = createCheck(gateway);
    await gateway.webhooks.announce({ id: check.id, tenant: check.tenant, webhookUrl });

    const messages = await Promise.all(receivers.map((receiver) => receiver.take(200)));
    const secrets = [first.secret, second.secret, (body as { secret: string }).secret];
    for (const [n, message] of messages.entries()) {
      expect(verify(secrets[n] ?? '', message)).toMatchObject({
        type: 'passive_liveness.completed',
        timestamp: new Date(3000).toISOString(),
        data: {
          id: check.id,
          status: 'succeeded',
          result: exampleBody,
          links: { self: `https://liveness.example/v1/jobs/${check.id}` },
        },
      });
    }
    expect(new Set(messages.map(({ headers }) => headers['webhook-id'])).size).toBe(3);
    expect(a.messages.pending).toBe(0);
  });

  it('is sent if it comes after its announcement', async () => {
    const gateway = await startWebhooks();
    const receiver = await startReceiver();
    await gateway.createEndpoint(receiver.url);
    const check = createCheck(gateway, { status: 'processing' });
    await gateway.webhooks.announce(check);
    // Delayed once when it was added, and once more because the check has not ended.
    const jobId = await gateway.delayed.take();
    expect(await gateway.delayed.take()).toBe(jobId);
    gateway.checks.set(check.id, { ...check, status: 'succeeded' });
    expect((await receiver.take(200)).body).toContain(check.id);
  });

  it('is sent even if the check could not be read for a while', async () => {
    const gateway = await startWebhooks();
    const receiver = await startReceiver();
    await gateway.createEndpoint(receiver.url);
    gateway.outage.checks = true;
    const check = createCheck(gateway);
    await gateway.webhooks.announce(check);
    const jobId = await gateway.delayed.take();
    expect(await gateway.delayed.take()).toBe(jobId);
    gateway.outage.checks = false;
    await prioritize(gateway, jobId);
    expect((await receiver.take(200)).body).toContain(check.id);
  });

  it('is not sent again if it is announced again after the message was accepted', async () => {
    const gateway = await startWebhooks();
    const receiver = await startReceiver();
    const endpoint = await gateway.createEndpoint(receiver.url);
    const check = createCheck(gateway);
    await gateway.webhooks.announce(check);
    await receiver.take(200);
    await gateway.attempts.take();
    await gateway.webhooks.announce(check);
    // The message of a later announcement shows that the second one has created no message.
    await gateway.webhooks.announce(createCheck(gateway));
    await receiver.take(200);
    expect(await listDeliveries(gateway, endpoint.id)).toHaveLength(2);
    expect(receiver.messages.pending).toBe(0);
  });

  it('leaves no message in Redis after the check is deleted', async () => {
    const gateway = await startWebhooks();
    const receiver = await startReceiver();
    const { id } = await gateway.createEndpoint(receiver.url);
    const check = createCheck(gateway);
    await gateway.webhooks.announce(check);
    await receiver.take(500);
    await gateway.attempts.take();
    await gateway.webhooks.delete(check);
    expect(await listDeliveries(gateway, id)).toEqual([]);
    expect(await findKeys(gateway.redis, `${gateway.keys.delivery('')}*`)).toEqual([]);
  });
});

describe('a webhook message', () => {
  it('is retried with the same id and a valid signature until it is accepted', async () => {
    const gateway = await startWebhooks();
    const receiver = await startReceiver();
    const { id, secret } = await gateway.createEndpoint(receiver.url);
    await gateway.webhooks.announce(createCheck(gateway));
    await gateway.delayed.take();
    const messages = [await receiver.take(500)];
    for (const statusCode of [429, 200]) {
      await prioritize(gateway, await gateway.delayed.take());
      messages.push(await receiver.take(statusCode));
    }
    const statuses = [];
    for (let n = 0; n < 3; n++) statuses.push((await gateway.attempts.take()).status);
    expect(statuses).toEqual(['pending', 'pending', 'succeeded']);
    for (const message of messages) verify(secret, message);
    expect(new Set(messages.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(messages.map(({ body }) => body)).size).toBe(1);
    expect(await listDeliveries(gateway, id)).toMatchObject([
      {
        id: messages[0]?.headers['webhook-id'],
        type: 'passive_liveness.completed',
        status: 'succeeded',
        next_attempt_at: null,
        attempts: [{ status_code: 500 }, { status_code: 429 }, { status_code: 200 }],
      },
    ]);
  });

  it('answered with 410 disables its endpoint until the tenant enables it', async () => {
    const gateway = await startWebhooks();
    const receiver = await startReceiver();
    const { id } = await gateway.createEndpoint(receiver.url);
    await gateway.webhooks.announce(createCheck(gateway));
    await receiver.take(410);
    expect(await gateway.attempts.take()).toEqual({ status: 'failed' });
    const path = `/v1/webhook-endpoints/${id}`;
    await expect
      .poll(async () => (await gateway.call('GET', path)).body)
      .toMatchObject({ enabled: false, disabled_reason: 'gone' });
    const { body } = await gateway.call('PATCH', path, { body: { enabled: true } });
    expect(body).toMatchObject({ enabled: true, disabled_reason: null });
  });

  it('to a slow receiver delays no message to another receiver', async () => {
    const gateway = await startWebhooks();
    const [slow, fast] = await Promise.all([startReceiver(), startReceiver()]);
    const toSlow = await gateway.createEndpoint(slow.url);
    const toFast = await gateway.createEndpoint(fast.url);
    const sendTest = (id: string) => gateway.call('POST', `/v1/webhook-endpoints/${id}/test`);
    for (let n = 0; n < 6; n++) await sendTest(toSlow.id);
    const held = [];
    for (let n = 0; n < 4; n++) held.push(await slow.messages.take());
    // The other two went back to the queue, which is not an attempt.
    const requeued = [await gateway.delayed.take(), await gateway.delayed.take()];
    await sendTest(toFast.id);
    await fast.take(200);
    expect(slow.messages.pending).toBe(0);
    for (const { res } of held) res.end();
    const ids = [await slow.take(200), await slow.take(200)].map((m) => m.headers['webhook-id']);
    expect(new Set(ids)).toEqual(new Set(requeued));
  });
});

describe('a webhook message on demand', () => {
  it('can be a test, which is signed', async () => {
    const gateway = await startWebhooks();
    const receiver = await startReceiver();
    const { id, secret } = await gateway.createEndpoint(receiver.url);
    const { status, body } = await gateway.call('POST', `/v1/webhook-endpoints/${id}/test`);
    expect(status).toBe(202);
    expect(body).toMatchObject({ type: 'webhook.test', status: 'pending' });
    const message = await receiver.take(200);
    expect(verify(secret, message)).toMatchObject({
      type: 'webhook.test',
      data: { endpoint_id: id },
    });
    expect(message.headers['webhook-id']).toBe((body as { id: string }).id);
  });

  it('can be a replay with the same id, of a message that was accepted or waits for its retry', async () => {
    const gateway = await startWebhooks();
    const receiver = await startReceiver();
    const endpoint = await gateway.createEndpoint(receiver.url);
    const { body } = await gateway.call('POST', `/v1/webhook-endpoints/${endpoint.id}/test`);
    const { id } = body as { id: string };
    const replay = `/v1/webhook-endpoints/${endpoint.id}/deliveries/${id}/replay`;
    for (const statusCode of [200, 500, 200]) {
      expect((await receiver.take(statusCode)).headers['webhook-id']).toBe(id);
      await gateway.attempts.take();
      if (statusCode === 500) await gateway.delayed.take();
      const replayed = await gateway.call('POST', replay);
      expect(replayed.status).toBe(202);
      expect(replayed.body).toMatchObject({ id, status: 'pending' });
    }
    await receiver.take(200);
    await gateway.attempts.take();
    expect(await listDeliveries(gateway, endpoint.id)).toMatchObject([
      { id, status: 'succeeded', attempts: [{}, {}, {}, {}] },
    ]);
  });
});

/** Takes deliveries from real Redis; the test makes the attempts. */
async function startDeliveries() {
  const { redis, keys, close } = await openSandbox();
  const store = createRedisWebhookStore(redis, keys);
  const queue = createRedisWebhookQueue(redis, keys);
  const backgroundRedis = connectWorker();
  onTestFinished(async () => {
    await queue.close();
    backgroundRedis.disconnect();
    await close();
  });
  return {
    store,
    queue,
    start(deliver: DeliverMessage) {
      const deliveries = takeDeliveries(
        { redis: backgroundRedis, keys, leases: createLeases(), log: silentLog },
        {
          announce: async () => undefined,
          deliver,
          resume: createResumeDelivery({ store, queue }),
        },
      );
      onTestFinished(() => deliveries.close());
    },
  };
}

describe('a replay', () => {
  it('that is requested while its job is ending is not lost', async () => {
    const { store, queue, start } = await startDeliveries();
    const attempts = createEvents<number>();
    let count = 0;
    start(async (id) => {
      count += 1;
      const accept = (latest: Delivery) =>
        recordAttempt(latest, { at: 0, latencyMs: 0, statusCode: 200 }, 0);
      await store.updateDelivery(id, accept);
      const replay = (latest: Delivery) => replayDelivery(latest, 0);
      const replayed = count === 1 && (await store.updateDelivery(id, replay));
      if (replayed) await queue.deliverNow(replayed);
      attempts.push(count);
      return undefined;
    });
    await store.addEndpoint(exampleEndpoint(), 16);
    await store.addDelivery(exampleDelivery());
    await queue.deliver(exampleDelivery());
    expect([await attempts.take(), await attempts.take()]).toEqual([1, 2]);
  });
});

describe('the messages of one tenant', () => {
  it('that hang or fill the queue do not delay messages of other tenants', async () => {
    const { queue, start } = await startDeliveries();
    const target = (n: number) => ({ endpointId: `whe_${n % 16}` });
    for (let n = 0; n < 200; n++) {
      await queue.deliver(exampleDelivery({ id: `hanging_${n}`, target: target(n) }));
    }
    const other = { tenant: 'globex', target: { endpointId: 'whe_globex' } };
    await queue.deliver(exampleDelivery({ id: 'first', ...other }));
    const delivered = createEvents<{ id: string; before: number }>();
    const hung: (() => void)[] = [];
    start(async (id) => {
      if (id.startsWith('hanging')) await new Promise<void>((end) => hung.push(end));
      else delivered.push({ id, before: hung.length });
      return undefined;
    });
    // Before the deliveries are closed, which waits for running attempts.
    onTestFinished(() => hung.forEach((end) => end()));
    // Sent among the first, although 200 messages were queued before it.
    const { id, before } = await delivered.take();
    expect(id).toBe('first');
    expect(before).toBeLessThan(8);
    // Once the other messages have taken all slots they can get.
    await expect.poll(() => queue.bullQueue.getDelayedCount()).toBe(200 - 52);
    expect(hung).toHaveLength(52);
    await queue.deliver(exampleDelivery({ id: 'second', ...other }));
    expect((await delivered.take()).id).toBe('second');
  });
});

describe('tests and replays', () => {
  it('are limited per tenant, with Retry-After', async () => {
    const gateway = await startWebhooks();
    const receiver = await startReceiver();
    const { id } = await gateway.createEndpoint(receiver.url);
    const one = `/v1/webhook-endpoints/${id}`;
    for (let n = 0; n < 30; n++) {
      expect((await gateway.call('POST', `${one}/test`)).status).toBe(202);
      const message = await receiver.take(200);
      await gateway.attempts.take();
      const replay = `${one}/deliveries/${message.headers['webhook-id']}/replay`;
      expect((await gateway.call('POST', replay)).status).toBe(202);
      await receiver.take(200);
      await gateway.attempts.take();
    }
    for (const path of [`${one}/test`, `${one}/deliveries/msg_1/replay`]) {
      const { status, body, response } = await gateway.call('POST', path);
      expect({ status, body }).toMatchObject({ status: 429, body: { error_code: 'rate_limited' } });
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect(receiver.messages.pending).toBe(0);
    const others = { headers: authOf('other') };
    expect((await gateway.call('POST', `${one}/test`, others)).status).toBe(404);
  });
});

describe('a rotated secret', () => {
  it('signs together with the previous secret during the overlap', async () => {
    const gateway = await startWebhooks();
    const receiver = await startReceiver();
    const { id, secret } = await gateway.createEndpoint(receiver.url);
    const rotate = (overlap: number) =>
      gateway.call('POST', `/v1/webhook-endpoints/${id}/rotate-secret`, {
        body: { overlap_seconds: overlap },
      });
    const { secret: fresh } = (await rotate(60)).body as { secret: string };
    const sendTest = () => gateway.call('POST', `/v1/webhook-endpoints/${id}/test`);
    await sendTest();
    const during = await receiver.take(200);
    expect(during.headers['webhook-signature']?.split(' ')).toHaveLength(2);
    for (const key of [secret, fresh]) expect(verify(key, during)).toBeDefined();

    const { secret: last } = (await rotate(0)).body as { secret: string };
    await sendTest();
    const after = await receiver.take(200);
    expect(verify(last, after)).toBeDefined();
    expect(() => verify(fresh, after)).toThrow(/signature/);
  });
});

describe('the webhook_url of a check', () => {
  it('is refused without the permission, without a secret, and for a private address', async () => {
    const { webhooks, call } = await startWebhooks();
    const url = 'https://example.com/own';
    const restricted = { ...developmentCredential, permissions: ['passive-liveness' as const] };
    const { acceptUrl } = webhooks;
    await expect(acceptUrl(url, restricted)).rejects.toMatchObject({ code: 'forbidden' });
    const secretMissing = { code: 'webhook_secret_missing' };
    await expect(acceptUrl(url, developmentCredential)).rejects.toMatchObject(secretMissing);
    const refused = { code: 'webhook_url_refused' };
    const metadata = 'http://169.254.169.254/';
    await expect(acceptUrl(metadata, developmentCredential)).rejects.toMatchObject(refused);
    await call('POST', '/v1/webhook-secret');
    expect(await acceptUrl(url, developmentCredential)).toBe(url);
  });
});

describe('Redis', () => {
  it('keeps no job and no event of a message once it was accepted', async () => {
    const gateway = await startWebhooks();
    const receiver = await startReceiver();
    await gateway.createEndpoint(receiver.url);
    const check = createCheck(gateway);
    await gateway.webhooks.announce(check);
    const id = (await receiver.take(200)).headers['webhook-id'] ?? '';
    await gateway.attempts.take();
    const { keys, redis, queue } = gateway;
    await expect.poll(() => queue.getJob(id)).toBeUndefined();
    expect(await queue.getJobCounts()).toMatchObject({ active: 0, completed: 0, failed: 0 });
    expect(await findKeys(redis, `${keys.prefix}:webhooks:*${check.id}*`)).toEqual([]);
  });
});
