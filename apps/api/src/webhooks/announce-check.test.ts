import {
  type CheckRecord,
  deliveryIdOf,
  failDelivery,
  recordAttempt,
  type WebhookEventType,
} from '@livegate/core/domain';
import {
  createFakeWebhookQueue,
  createFakeWebhookStore,
  exampleDelivery,
  exampleEndpoint,
  exampleQuality,
  exampleResult,
} from '@livegate/testing';
import { describe, expect, it } from 'vitest';
import { presentJob } from '../contract/present-check.js';
import { createAnnounceCheck } from './announce-check.js';

const minute = 60_000;

const succeeded: CheckRecord = {
  id: 'check',
  tenant: 'acme',
  status: 'succeeded',
  createdAt: 1000,
  startedAt: 2000,
  finishedAt: 3000,
  baseUrl: 'https://liveness.example',
  outcome: { result: exampleResult },
};

async function setUp(record: CheckRecord | undefined, now = 5000) {
  const store = createFakeWebhookStore();
  const queue = createFakeWebhookQueue(store);
  const checks = { read: async (id: string) => record && { ...record, id } };
  const settled: CheckRecord[] = [];
  const settleSession = async (ended: CheckRecord) => settled.push(ended);
  const announce = createAnnounceCheck({
    checks,
    settleSession,
    store,
    queue,
    maxPending: 3,
    now: () => now,
  });
  return {
    store,
    queue,
    settled,
    announce: (check = {}) => announce({ ...facts, ...check }, 5000),
  };
}

const facts = { id: 'check', tenant: 'acme' };
const late = { settleSession: async () => undefined, maxPending: 3, now: () => 6000 };

describe('announcing a check', () => {
  it('creates a message with the job resource, whose links use the base URL of its caller', async () => {
    const { store, queue, announce } = await setUp(succeeded);
    await store.addEndpoint(exampleEndpoint(), 16);
    expect(await announce()).toBeUndefined();
    const [delivery] = await store.listDeliveries('whe_1');
    expect(JSON.parse(delivery?.payload ?? '')).toEqual({
      type: 'passive_liveness.completed',
      timestamp: '1970-01-01T00:00:03.000Z',
      data: presentJob(succeeded, 'https://liveness.example'),
    });
    expect(Buffer.byteLength(delivery?.payload ?? '')).toBeLessThan(20_000);
    expect([...queue.jobs.keys()]).toEqual([delivery?.id]);
  });

  it.each<[CheckRecord['status'], WebhookEventType]>([
    ['succeeded', 'passive_liveness.completed'],
    ['failed', 'passive_liveness.failed'],
    ['canceled', 'passive_liveness.canceled'],
  ])('sends a %s check to the enabled endpoints that subscribed to %s', async (status, type) => {
    const { store, announce } = await setUp({ ...succeeded, status });
    const others = exampleEndpoint().events.filter((event) => event !== type);
    await store.addEndpoint(exampleEndpoint({ id: 'whe_wants', events: [type] }), 16);
    await store.addEndpoint(exampleEndpoint({ id: 'whe_wants_too' }), 16);
    await store.addEndpoint(exampleEndpoint({ id: 'whe_other', events: others }), 16);
    await store.addEndpoint(exampleEndpoint({ id: 'whe_disabled', enabled: false }), 16);
    await store.addEndpoint(exampleEndpoint({ id: 'whe_globex', tenant: 'globex' }), 16);
    await announce();
    expect(await store.listDeliveries('whe_wants')).toMatchObject([{ type }]);
    expect(await store.listDeliveries('whe_wants_too')).toMatchObject([{ type }]);
    for (const id of ['whe_other', 'whe_disabled', 'whe_globex']) {
      expect(await store.listDeliveries(id)).toEqual([]);
    }
  });

  it('of a hosted session settles the session, and sends no message about the check', async () => {
    const ofSession = { ...succeeded, sid: 'sid' };
    const { store, queue, settled, announce } = await setUp(ofSession);
    await store.addEndpoint(exampleEndpoint(), 16);
    await announce();
    expect(settled).toEqual([ofSession]);
    expect(queue.jobs.size).toBe(0);
  });

  it('announces a check with a weak image as failed if its caller enforces quality', async () => {
    const quality = { ...exampleQuality, codes: ['face_too_small' as const] };
    const outcome = { result: { ...exampleResult, quality } };
    const { store, announce } = await setUp({ ...succeeded, outcome, qualityPolicy: 'enforce' });
    await store.addEndpoint(exampleEndpoint(), 16);
    await announce();
    const [delivery] = await store.listDeliveries('whe_1');
    expect(JSON.parse(delivery?.payload ?? '')).toMatchObject({
      type: 'passive_liveness.failed',
      data: {
        status: 'failed',
        error: { error_code: 'face_too_small', error_message: 'move a little closer' },
      },
    });
    expect(delivery?.payload).not.toContain('spoof_percentage');
  });

  it('adds the quality to the message of a check whose caller asked for a report', async () => {
    const outcome = { result: { ...exampleResult, quality: exampleQuality } };
    const { store, announce } = await setUp({ ...succeeded, outcome, qualityPolicy: 'report' });
    await store.addEndpoint(exampleEndpoint(), 16);
    await announce();
    const [delivery] = await store.listDeliveries('whe_1');
    expect(JSON.parse(delivery?.payload ?? '')).toMatchObject({
      type: 'passive_liveness.completed',
      data: { result: { result: { quality: { codes: [] } } } },
    });
  });

  it("also sends to the check's own webhook_url", async () => {
    const { queue, announce } = await setUp(succeeded);
    await announce({ webhookUrl: 'https://example.com/own' });
    expect([...queue.jobs.values()]).toMatchObject([{ receiver: 'acme https://example.com' }]);
  });

  it.each([
    ['an endpoint', { endpointId: 'whe_1' }, {}],
    [
      'the URLs of its checks',
      { url: 'https://example.com/1' },
      { webhookUrl: 'https://a.example/' },
    ],
  ])('fails its message, and queues none, if too many to %s are pending', async (...given) => {
    const [, target, check] = given;
    const { store, queue, announce } = await setUp(succeeded);
    if ('endpointId' in target) await store.addEndpoint(exampleEndpoint(), 16);
    for (const id of ['msg_1', 'msg_2', 'msg_3']) {
      await store.addDelivery(exampleDelivery({ id, target }));
    }
    await announce(check);
    await announce(check);
    expect(queue.jobs.size).toBe(0);
    const to = 'webhookUrl' in check ? { url: check.webhookUrl } : target;
    const id = deliveryIdOf('check', to);
    const failed = { status: 'failed', failure: 'too_many_pending', attempts: [] };
    expect(await store.readDelivery(id)).toMatchObject(failed);
    await store.updateDelivery('msg_1', (latest) => failDelivery(latest, 'endpoint_gone'));
    await announce({ ...check, id: 'next' });
    expect(queue.jobs.size).toBe(1);
  });

  it('twice creates no second message, but queues one that was not queued yet', async () => {
    const first = await setUp(succeeded);
    await first.store.addEndpoint(exampleEndpoint(), 16);
    await first.announce();
    const queue = createFakeWebhookQueue(first.store);
    const checks = { read: async () => succeeded };
    const { store } = first;
    const again = createAnnounceCheck({ ...late, checks, store, queue });
    await again(facts, 5000);
    expect(await store.listDeliveries('whe_1')).toHaveLength(1);
    expect(queue.jobs.size).toBe(1);
  });

  it('twice does not queue a message that has been delivered', async () => {
    const { store, queue, announce } = await setUp(succeeded);
    await store.addEndpoint(exampleEndpoint(), 16);
    await announce();
    const [id = ''] = queue.jobs.keys();
    const answer = { at: 5000, latencyMs: 1, statusCode: 200 };
    await store.updateDelivery(id, (latest) => recordAttempt(latest, answer, 0));
    await queue.withdraw({ deliveryIds: [id] });
    await announce();
    expect(queue.jobs.size).toBe(0);
  });

  it('without a base URL and an end has relative links, and the time of the announcement', async () => {
    const { baseUrl: _, finishedAt: __, ...early } = succeeded;
    const { store, announce } = await setUp(early);
    await store.addEndpoint(exampleEndpoint(), 16);
    await announce();
    const [delivery] = await store.listDeliveries('whe_1');
    expect(JSON.parse(delivery?.payload ?? '')).toEqual({
      type: 'passive_liveness.completed',
      timestamp: '1970-01-01T00:00:05.000Z',
      data: presentJob(early, ''),
    });
  });

  it('leaves no message of a check that is deleted while its messages are created, and queues none', async () => {
    const { store, ...given } = await setUp(succeeded);
    const queue = { ...given.queue, deliver: () => Promise.reject(new Error('queued')) };
    await store.addEndpoint(exampleEndpoint(), 16);
    const records = [succeeded, undefined];
    const checks = { read: async () => records.shift() };
    const announce = createAnnounceCheck({ ...late, checks, store, queue });
    await announce({ ...facts, webhookUrl: 'https://example.com/own' }, 5000);
    expect(records).toEqual([]);
    expect(await store.listDeliveries('whe_1')).toEqual([]);
  });

  it('deletes the messages of an earlier attempt if the check was deleted', async () => {
    const { store, queue, announce } = await setUp(succeeded);
    await store.addEndpoint(exampleEndpoint(), 16);
    const webhookUrl = 'https://example.com/own';
    await announce({ webhookUrl });
    const ids = [...queue.jobs.keys()];
    expect(ids).toHaveLength(2);
    const checks = { read: async () => undefined };
    const again = createAnnounceCheck({ ...late, checks, store, queue });
    expect(await again({ ...facts, webhookUrl }, 5000)).toBeUndefined();
    expect(await Promise.all(ids.map(store.readDelivery))).toEqual([undefined, undefined]);
    expect(queue.jobs.size).toBe(0);
  });
});

describe('announcing a check that has not ended', () => {
  it.each([
    ['after 100 ms at first', 0, 100],
    ['after as long as the announcement is old', 2000, 2000],
    ['after at most 10 s', minute, 10_000],
    ['until the announcement is older than ten minutes', 10 * minute, 10_000],
  ])('is tried again %s', async (_name, ageMs, waitMs) => {
    const now = 5000 + ageMs;
    const { announce } = await setUp({ ...succeeded, status: 'processing' }, now);
    expect(await announce()).toBe(now + waitMs);
  });

  it('stops after ten minutes, because the end of the check is announced again', async () => {
    const { announce } = await setUp({ ...succeeded, status: 'queued' }, 5001 + 10 * minute);
    expect(await announce()).toBeUndefined();
  });
});
