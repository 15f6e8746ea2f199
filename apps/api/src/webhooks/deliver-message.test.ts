import { type Delivery, type DeliveryAttempt, rotateSecrets } from '@livegate/core/domain';
import {
  createFakeMonitoring,
  createFakeWebhookQueue,
  createFakeWebhookStore,
  exampleDelivery,
  exampleEndpoint,
} from '@livegate/testing';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import {
  createDeliverMessage,
  createResumeDelivery,
  type DeliverMessageDeps,
} from './deliver-message.js';
import type { Message } from './send-message.js';

const { id } = exampleDelivery();
const at = { tenant: 'acme', id: 'whe_1' };
const hour = 3_600_000;

type Answer = Omit<DeliveryAttempt, 'at' | 'latencyMs'>;

/** One delivery to one endpoint, whose receiver and clock the test controls. */
async function setUp(
  answer: Answer,
  delivery: Delivery = exampleDelivery(),
  given: Partial<DeliverMessageDeps> = {},
) {
  const clock = { now: 0 };
  const sent: Message[] = [];
  const lines: string[] = [];
  const store = createFakeWebhookStore();
  await store.addEndpoint(exampleEndpoint(), 16);
  await store.addDelivery(delivery);
  const receiver = { answer };
  const monitoring = createFakeMonitoring({ endpoints: store });
  const deliver = createDeliverMessage({
    store,
    send: async (message) => {
      sent.push(message);
      return { at: clock.now, latencyMs: 0, ...receiver.answer };
    },
    now: () => clock.now,
    random: () => 0,
    log: pino({}, { write: (line) => void lines.push(line) }),
    noteAttempt: monitoring.noteAttempt,
    ...given,
  });
  return { clock, sent, lines, store, receiver, monitoring, deliver };
}

describe('a webhook message', () => {
  it.each<[string, Answer]>([
    ['answers 500', { statusCode: 500 }],
    ['redirects', { statusCode: 302 }],
    ['hangs', { error: 'no answer within 15000 ms' }],
    ['closes the socket', { error: 'the connection failed: ECONNRESET' }],
  ])(
    'to a receiver that %s is retried on the documented schedule, then fails',
    async (_name, answer) => {
      const { clock, sent, store, deliver } = await setUp(answer);
      const attemptedAt: number[] = [];
      for (let next: number | undefined = 0; next !== undefined;) {
        clock.now = next;
        attemptedAt.push(next);
        next = await deliver(id);
      }
      const waits = attemptedAt.slice(1).map((time, n) => time - (attemptedAt[n] ?? 0));
      const hours = [0.5, 2, 5, 10, 14, 20, 24].map((hrs) => hrs * hour);
      expect(waits).toEqual([5000, 300_000, ...hours]);
      expect(sent.map((message) => message.id)).toEqual(Array.from({ length: 10 }, () => id));
      const delivery = await store.readDelivery(id);
      expect(delivery).toMatchObject({ status: 'failed', failure: 'attempts_exhausted' });
      expect(delivery?.attempts.map((attempt) => attempt.at)).toEqual(attemptedAt);
    },
  );

  it('that fails five times is delivered on the sixth attempt', async () => {
    const { clock, receiver, store, deliver } = await setUp({ statusCode: 500 });
    for (let n = 0; n < 5; n++) clock.now = (await deliver(id)) ?? Number.NaN;
    receiver.answer = { statusCode: 200 };
    expect(await deliver(id)).toBeUndefined();
    const { status, attempts } = (await store.readDelivery(id)) ?? exampleDelivery();
    expect(status).toBe('succeeded');
    expect(attempts.map(({ statusCode }) => statusCode)).toEqual([500, 500, 500, 500, 500, 200]);
  });

  it('answered with 429 is retried after the time in Retry-After', async () => {
    const { deliver } = await setUp({ statusCode: 429, retryAfterMs: 120_000 });
    expect(await deliver(id)).toBe(120_000);
  });

  it('answered with 410 disables its endpoint and is not retried', async () => {
    const { store, deliver } = await setUp({ statusCode: 410 });
    expect(await deliver(id)).toBeUndefined();
    expect(await store.readEndpoint(at)).toMatchObject({
      enabled: false,
      disabledReason: 'gone',
    });
    expect(await store.readDelivery(id)).toMatchObject({ failure: 'endpoint_gone' });
  });
});

describe('a webhook message without a receiver', () => {
  it.each([
    ['endpoint_disabled', { endpointId: 'whe_1' }],
    ['secret_missing', { url: 'https://example.com/' }],
  ])('fails without an attempt: %s', async (failure, target) => {
    const { sent, store, deliver } = await setUp({}, exampleDelivery({ target }));
    await store.updateEndpoint(at, (latest) => ({ ...latest, enabled: false }));
    expect(await deliver(id)).toBeUndefined();
    expect(await store.readDelivery(id)).toMatchObject({ status: 'failed', failure });
    expect(sent).toEqual([]);
  });

  it('is dropped if its endpoint was deleted', async () => {
    const { sent, store, deliver } = await setUp({ statusCode: 200 });
    await store.removeEndpoint(at);
    expect(await deliver(id)).toBeUndefined();
    expect(await store.readDelivery(id)).toBeUndefined();
    expect(sent).toEqual([]);
  });

  it('is dropped if the message itself was deleted', async () => {
    const { sent, store, deliver } = await setUp({ statusCode: 200 });
    await store.deleteDeliveries([id]);
    expect(await deliver(id)).toBeUndefined();
    expect(sent).toEqual([]);
  });
});

describe('a webhook message that was accepted', () => {
  it('is dropped if it was deleted while its receiver was looked up', async () => {
    const { store, sent, deliver } = await setUp({ statusCode: 200 });
    const { readEndpoint } = store;
    store.readEndpoint = async (address) => {
      await store.deleteDeliveries([id]);
      return readEndpoint(address);
    };
    expect(await deliver(id)).toBeUndefined();
    expect(sent).toEqual([]);
  });

  it('is not sent again when its job runs twice', async () => {
    const { sent, deliver } = await setUp({ statusCode: 200 });
    await deliver(id);
    expect(await deliver(id)).toBeUndefined();
    expect(sent).toHaveLength(1);
  });
});

describe('a webhook message is signed', () => {
  it('with each secret in force at the time of the attempt', async () => {
    const { clock, sent, store, deliver } = await setUp({ statusCode: 500 });
    await store.updateEndpoint(at, (latest) => ({
      ...latest,
      secrets: rotateSecrets(latest.secrets, 0, 1000),
    }));
    await deliver(id);
    clock.now = 1000;
    await deliver(id);
    const [first, second] = sent.map((message) => message.secrets);
    expect(first).toHaveLength(2);
    expect(second).toEqual([first?.[0]]);
  });

  it("with the tenant's own secret if it goes to a check's webhook_url", async () => {
    const target = { url: 'https://example.com/' };
    const { sent, store, deliver } = await setUp({ statusCode: 200 }, exampleDelivery({ target }));
    const [own] = await store.updateTenantSecrets('acme', () => rotateSecrets([], 0, 0));
    await deliver(id);
    expect(sent).toMatchObject([{ url: target.url, secrets: [own?.secret] }]);
  });
});

describe('the log line of a webhook attempt', () => {
  it('contains neither URL, secret, payload nor excerpt', async () => {
    const answer = { statusCode: 500, responseExcerpt: 'excerpt' };
    const { lines, deliver, sent } = await setUp(answer);
    await deliver(id);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      msg: 'webhook attempted',
      deliveryId: id,
      tenant: 'acme',
      status: 'pending',
      statusCode: 500,
      latencyMs: 0,
    });
    const { url, payload, secrets } = sent[0] ?? { url: '', payload: '', secrets: [] };
    for (const hidden of [url, payload, secrets[0] ?? '', 'excerpt']) {
      expect(lines[0]).not.toContain(hidden);
    }
  });
});

describe('the retry of a webhook message', () => {
  it('has jitter', async () => {
    const { deliver } = await setUp({ statusCode: 500 }, exampleDelivery(), { random: () => 1 });
    expect(await deliver(id)).toBe(5500);
  });
});

describe('operators', () => {
  const toUrl = exampleDelivery({ target: { url: 'https://example.com/secret' } });

  it.each([
    ['endpoint', exampleDelivery(), { statusCode: 503 }, 'whe_1', '5xx'],
    ['own URL, which they do not see', toUrl, { error: 'no answer' }, 'webhook_url', 'no_answer'],
  ] as const)(
    'see how an attempt ended: to an %s',
    async (_name, delivery, answer, to, outcome) => {
      const { store, monitoring, deliver } = await setUp(answer, delivery);
      await store.updateTenantSecrets('acme', () => rotateSecrets([], 0, 0));
      await deliver(id);
      const failing = { tenant: 'acme', endpoint: to, outcome, failures: 1 };
      expect(await monitoring.readFailingReceivers()).toMatchObject([failing]);
    },
  );

  it('missing an attempt does not keep it from being recorded', async () => {
    const { noteAttempt } = createFakeMonitoring({ outage: { away: true } });
    const { store, deliver } = await setUp({ statusCode: 500 }, exampleDelivery(), { noteAttempt });
    expect(await deliver(id)).toBe(5000);
    expect((await store.readDelivery(id))?.attempts).toHaveLength(1);
  });
});

it('a message to a URL of its own that answers 410 disables no endpoint', async () => {
  const delivery = exampleDelivery({ target: { url: 'https://example.com/' } });
  const { store, deliver } = await setUp({ statusCode: 410 }, delivery);
  await store.updateTenantSecrets('acme', () => rotateSecrets([], 0, 0));
  expect(await deliver(id)).toBeUndefined();
  expect(await store.readDelivery(id)).toMatchObject({ failure: 'endpoint_gone' });
  expect(await store.readEndpoint(at)).toMatchObject({ enabled: true });
});

it('a delivery is queued again only while it is pending', async () => {
  const { store, receiver, deliver } = await setUp({ statusCode: 500 });
  const queue = createFakeWebhookQueue(store);
  const resume = createResumeDelivery({ store, queue });
  await resume('msg_unknown');
  expect(queue.jobs.size).toBe(0);
  await resume(id);
  expect([...queue.jobs.keys()]).toEqual([id]);
  receiver.answer = { statusCode: 200 };
  await deliver(id);
  await queue.withdraw({ deliveryIds: [id] });
  await resume(id);
  expect(queue.jobs.size).toBe(0);
});
