import { failDelivery, webhookEventTypes } from '@livegate/core/domain';
import {
  createFakeRateLimiter,
  createFakeWebhookQueue,
  createFakeWebhookStore,
  exampleDelivery,
  exampleEndpoint,
} from '@livegate/testing';
import { describe, expect, it } from 'vitest';
import { createAddressGuard } from '../../apps/api/src/webhooks/address-guard.js';
import { errorBody } from '@livegate/testing/gateway/error-body';
import { authOf, type Call, serveWebhookRoutes } from '@livegate/testing/gateway/webhook-gateway';

const collection = '/v1/webhook-endpoints';
const one = `${collection}/whe_1`;
const good = { url: 'https://example.com/hook', events: ['passive_liveness.completed'] };
const secret = expect.stringMatching(/^whsec_[\w+/]{43}=$/);

/** The routes with fakes, one endpoint of the caller, and one of another tenant. */
async function start() {
  const outage = { away: false };
  const store = createFakeWebhookStore(outage);
  const queue = createFakeWebhookQueue(store, outage);
  const urlRules = { httpsOnly: true, guard: createAddressGuard([]) };
  await store.addEndpoint(exampleEndpoint({ tenant: 'development' }), 16);
  await store.addEndpoint(exampleEndpoint({ id: 'whe_other', tenant: 'other' }), 16);
  await store.addDelivery(exampleDelivery({ tenant: 'development' }));
  const target = { endpointId: 'whe_other' };
  await store.addDelivery(exampleDelivery({ id: 'msg_other', tenant: 'other', target }));
  const call = await serveWebhookRoutes({
    store,
    queue,
    urlRules,
    rateLimiter: createFakeRateLimiter(outage),
    publicUrl: 'https://liveness.example',
    maxPending: 2,
    now: () => 1000,
  });
  return { call, store, queue, outage };
}

const presented = {
  id: 'whe_1',
  url: 'https://example.com/hook',
  events: webhookEventTypes,
  description: null,
  enabled: true,
  disabled_reason: null,
  created_at: '1970-01-01T00:00:00.001Z',
};

describe('POST /v1/webhook-endpoints', () => {
  it('201: creates an endpoint and shows its secret only once', async () => {
    const { call, store } = await start();
    const events = [...good.events, ...good.events];
    const body = { ...good, events, description: 'billing' };
    const created = await call('POST', collection, { body });
    expect(created.status).toBe(201);
    expect(created.body).toEqual({
      ...presented,
      id: expect.stringMatching(/^whe_[0-9a-f]{32}$/),
      events: good.events,
      description: 'billing',
      created_at: '1970-01-01T00:00:01.000Z',
      secret,
    });
    const { id } = created.body as { id: string };
    expect(created.response.headers.get('location')).toBe(
      `https://liveness.example${collection}/${id}`,
    );
    const stored = await store.readEndpoint({ tenant: 'development', id });
    expect(created.body).toMatchObject({ secret: stored?.secrets[0]?.secret });
    const { body: read } = await call('GET', `${collection}/${id}`);
    expect(JSON.stringify(read)).not.toContain('whsec_');
  });

  it.each<[string, Call, string]>([
    ['no body', {}, 'invalid_request'],
    ['no url', { body: { events: good.events } }, 'invalid_request'],
    ['no events', { body: { url: good.url } }, 'invalid_request'],
    ['an empty list of events', { body: { ...good, events: [] } }, 'invalid_request'],
    ['an unknown event', { body: { ...good, events: ['check.done'] } }, 'invalid_request'],
    ['an unknown member', { body: { ...good, secret: 'mine' } }, 'invalid_request'],
    ['a body that is too long', { body: 'x'.repeat(20_000) }, 'invalid_request'],
    ['broken JSON', { body: '{' }, 'invalid_json'],
    ['plain http', { body: { ...good, url: 'http://example.com/' } }, 'webhook_url_refused'],
    ['metadata', { body: { ...good, url: 'https://169.254.169.254/' } }, 'webhook_url_refused'],
    ['decimal', { body: { ...good, url: 'https://2130706433/' } }, 'webhook_url_refused'],
  ])('400: %s', async (_name, request, code) => {
    const { call } = await start();
    const { status, body } = await call('POST', collection, request);
    expect({ status, body }).toMatchObject({ status: 400, body: { error_code: code } });
  });

  it('400 says which member is wrong', async () => {
    const { call } = await start();
    const { body } = await call('POST', collection, { body: { ...good, url: 1 } });
    expect((body as { error_message: string }).error_message).toMatch(/^url: /);
  });

  it('409: more endpoints than a tenant may have', async () => {
    const { call } = await start();
    for (let n = 1; n < 16; n++) await call('POST', collection, { body: good });
    const { status, body } = await call('POST', collection, { body: good });
    expect({ status, body }).toMatchObject({
      status: 409,
      body: { error_code: 'too_many_endpoints' },
    });
  });

  it('415: a body that is not JSON', async () => {
    const { call } = await start();
    const headers = { 'content-type': 'text/plain' };
    const { status, body } = await call('POST', collection, { body: good, headers });
    expect({ status, body }).toMatchObject({
      status: 415,
      body: { error_code: 'unsupported_media_type' },
    });
  });
});

describe('GET /v1/webhook-endpoints', () => {
  it("200: lists the tenant's own, without secrets", async () => {
    const { call } = await start();
    const { status, body } = await call('GET', collection);
    expect({ status, body }).toEqual({ status: 200, body: { endpoints: [presented] } });
  });
});

describe('GET /v1/webhook-endpoints/{id}', () => {
  it('200: shows the endpoint', async () => {
    const { call } = await start();
    expect(await call('GET', one)).toMatchObject({ status: 200, body: presented });
  });
});

describe('PATCH /v1/webhook-endpoints/{id}', () => {
  it('200: changes only the given members', async () => {
    const { call } = await start();
    const described = await call('PATCH', one, { body: { description: 'billing' } });
    expect(described).toMatchObject({ status: 200 });
    expect(described.body).toEqual({ ...presented, description: 'billing' });
    const changes = { url: 'https://example.com/new', events: ['passive_liveness.failed'] };
    const { body: changed } = await call('PATCH', one, { body: changes });
    expect(changed).toEqual({ ...presented, ...changes, description: 'billing' });
    const { body: cleared } = await call('PATCH', one, { body: { description: null } });
    expect(cleared).toEqual({ ...presented, ...changes });
  });

  it('200: disables and enables the endpoint', async () => {
    const { call } = await start();
    const { body: off } = await call('PATCH', one, { body: { enabled: false } });
    expect(off).toEqual({ ...presented, enabled: false, disabled_reason: 'requested' });
    const { body: on } = await call('PATCH', one, { body: { enabled: true } });
    expect(on).toEqual(presented);
  });

  it.each<[string, unknown, string]>([
    ['no boolean', { enabled: 'yes' }, 'invalid_request'],
    ['an unknown member', { id: 'whe_2' }, 'invalid_request'],
    ['a refused URL', { url: 'https://[::ffff:7f00:1]/' }, 'webhook_url_refused'],
  ])('400: %s', async (_name, body, code) => {
    const { call } = await start();
    expect(await call('PATCH', one, { body })).toMatchObject({
      status: 400,
      body: { error_code: code },
    });
  });
});

describe('DELETE /v1/webhook-endpoints/{id}', () => {
  it('200 the first time, then 404', async () => {
    const { call, queue } = await start();
    await queue.deliver(exampleDelivery({ tenant: 'development' }));
    const { status, body } = await call('DELETE', one);
    expect({ status, body }).toEqual({ status: 200, body: { id: 'whe_1', deleted: true } });
    // Its pending deliveries are not sent any more.
    expect(queue.jobs.size).toBe(0);
    expect(await call('DELETE', one)).toMatchObject({ status: 404 });
  });
});

describe('POST /v1/webhook-endpoints/{id}/rotate-secret', () => {
  it('200: shows a new secret, and when the previous one expires', async () => {
    const { call } = await start();
    const rotated = await call('POST', `${one}/rotate-secret`, { body: { overlap_seconds: 60 } });
    expect(rotated.status).toBe(200);
    expect(rotated.body).toEqual({
      id: 'whe_1',
      secret,
      previous_secret_expires_at: '1970-01-01T00:01:01.000Z',
    });
  });

  it('200: the overlap is a day by default, and can be zero', async () => {
    const { call } = await start();
    expect(await call('POST', `${one}/rotate-secret`)).toMatchObject({
      body: { previous_secret_expires_at: '1970-01-02T00:00:01.000Z' },
    });
    const { body } = await call('POST', `${one}/rotate-secret`, { body: { overlap_seconds: 0 } });
    expect(body).toMatchObject({ previous_secret_expires_at: '1970-01-02T00:00:01.000Z' });
  });

  it.each([-1, 1.5, 8 * 86_400, 'soon'])('400: an overlap of %s', async (overlap_seconds) => {
    const { call } = await start();
    expect(await call('POST', `${one}/rotate-secret`, { body: { overlap_seconds } })).toMatchObject(
      { status: 400, body: { error_code: 'invalid_request' } },
    );
  });
});

describe('POST /v1/webhook-endpoints/{id}/test', () => {
  it('202: queues a test', async () => {
    const { call, queue } = await start();
    const { status, body } = await call('POST', `${one}/test`);
    expect(status).toBe(202);
    expect(body).toMatchObject({ type: 'webhook.test', status: 'pending', attempts: [] });
    expect([...queue.jobs.keys()]).toEqual([(body as { id: string }).id]);
  });
});

describe('GET /v1/webhook-endpoints/{id}/deliveries', () => {
  it('200: shows each attempt', async () => {
    const { call, store } = await start();
    const attempts = [
      { at: 1000, latencyMs: 12.4, statusCode: 500, responseExcerpt: 'oops' },
      { at: 6000, latencyMs: 15_000, error: 'no answer within 15000 ms' },
    ];
    await store.updateDelivery('msg_1', (latest) => ({ ...latest, attempts, nextAttemptAt: 9000 }));
    const { status, body } = await call('GET', `${one}/deliveries`);
    expect(status).toBe(200);
    expect(body).toEqual({
      deliveries: [
        {
          id: 'msg_1',
          type: 'passive_liveness.completed',
          status: 'pending',
          failure: null,
          created_at: '1970-01-01T00:00:00.001Z',
          next_attempt_at: '1970-01-01T00:00:09.000Z',
          attempts: [
            {
              at: '1970-01-01T00:00:01.000Z',
              latency_ms: 12,
              status_code: 500,
              error: null,
              response_excerpt: 'oops',
            },
            {
              at: '1970-01-01T00:00:06.000Z',
              latency_ms: 15_000,
              status_code: null,
              error: 'no answer within 15000 ms',
              response_excerpt: null,
            },
          ],
        },
      ],
    });
  });
});

describe('POST /v1/webhook-endpoints/{id}/deliveries/{delivery}/replay', () => {
  it('202: queues the message again', async () => {
    const { call, queue } = await start();
    const { status, body } = await call('POST', `${one}/deliveries/msg_1/replay`);
    expect({ status, body }).toMatchObject({ status: 202, body: { id: 'msg_1' } });
    expect([...queue.jobs.keys()]).toEqual(['msg_1']);
  });

  it.each(['msg_unknown', 'msg_other'])(
    '404: a delivery that is not of this endpoint: %s',
    async (id) => {
      const { call, queue } = await start();
      expect(await call('POST', `${one}/deliveries/${id}/replay`)).toMatchObject({ status: 404 });
      expect(queue.jobs.size).toBe(0);
    },
  );
});

describe('an endpoint at its limit of pending messages', () => {
  async function startFull() {
    const product = await start();
    const { store } = product;
    for (const id of ['msg_2', 'msg_3']) {
      await store.addDelivery(exampleDelivery({ id, tenant: 'development' }));
    }
    await store.updateDelivery('msg_1', (latest) => failDelivery(latest, 'attempts_exhausted'));
    return product;
  }

  it.each(['test', 'deliveries/msg_1/replay'])('429: refuses POST …/%s', async (path) => {
    const { call, store, queue } = await startFull();
    const { status, body } = await call('POST', `${one}/${path}`);
    expect({ status, body }).toMatchObject({ status: 429, body: { error_code: 'rate_limited' } });
    expect(queue.jobs.size).toBe(0);
    await store.updateDelivery('msg_2', (latest) => failDelivery(latest, 'attempts_exhausted'));
    expect(await call('POST', `${one}/${path}`)).toMatchObject({ status: 202 });
  });

  it('202: replaying a pending message sends it now', async () => {
    const { call } = await startFull();
    expect(await call('POST', `${one}/deliveries/msg_2/replay`)).toMatchObject({ status: 202 });
  });
});

describe('POST /v1/webhook-secret', () => {
  it("200: creates the tenant's secret, and then replaces it", async () => {
    const { call, store } = await start();
    const made = await call('POST', '/v1/webhook-secret');
    expect(made.status).toBe(200);
    expect(made.body).toEqual({ secret, previous_secret_expires_at: null });
    const body = { overlap_seconds: 60 };
    const replaced = await call('POST', '/v1/webhook-secret', { body });
    expect(replaced.body).toEqual({
      secret,
      previous_secret_expires_at: '1970-01-01T00:01:01.000Z',
    });
    expect(await store.readTenantSecrets('development')).toHaveLength(2);
  });

  it('400: an overlap that is not a number', async () => {
    const { call } = await start();
    expect(
      await call('POST', '/v1/webhook-secret', { body: { overlap_seconds: '' } }),
    ).toMatchObject({ status: 400, body: { error_code: 'invalid_request' } });
  });
});

const routes: [method: string, path: string][] = [
  ['GET', collection],
  ['POST', collection],
  ['GET', '/v1/webhook-endpoints/ID'],
  ['PATCH', '/v1/webhook-endpoints/ID'],
  ['DELETE', '/v1/webhook-endpoints/ID'],
  ['POST', '/v1/webhook-endpoints/ID/rotate-secret'],
  ['POST', '/v1/webhook-endpoints/ID/test'],
  ['GET', '/v1/webhook-endpoints/ID/deliveries'],
  ['POST', '/v1/webhook-endpoints/ID/deliveries/msg_1/replay'],
  ['POST', '/v1/webhook-secret'],
];

describe.each(routes)('%s %s', (method, path) => {
  const own = path.replace('ID', 'whe_1');
  const request: Call = path === collection && method === 'POST' ? { body: good } : {};

  it('401: wrong credentials', async () => {
    const { call } = await start();
    const headers = { 'x-api-key': 'wrong' };
    expect(await call(method, own, { ...request, headers })).toMatchObject({
      status: 401,
      body: errorBody(401, 'unauthorized'),
    });
  });

  it('403: credentials without the permission to manage webhooks', async () => {
    const { call } = await start();
    const headers = authOf('restricted');
    expect(await call(method, own, { ...request, headers })).toMatchObject({
      status: 403,
      body: errorBody(403, 'forbidden'),
    });
  });

  it('405: another method', async () => {
    const { call } = await start();
    const { response, status, body } = await call('PUT', own);
    expect({ status, body }).toMatchObject({
      status: 405,
      body: { error_code: 'method_not_allowed' },
    });
    expect(response.headers.get('allow')).toContain(method);
  });

  it('503: Redis is down', async () => {
    const { call, outage } = await start();
    outage.away = true;
    const { response, status, body } = await call(method, own, request);
    expect({ status, body }).toMatchObject({ status: 503, body: { error_code: 'unavailable' } });
    expect(response.headers.get('retry-after')).toBe('2');
  });
});

describe.each(routes.filter(([, path]) => path.includes('ID')))('%s %s', (method, path) => {
  it.each(['whe_unknown', 'whe_other'])('404: not an endpoint of the caller: %s', async (id) => {
    const { call, store } = await start();
    expect(await call(method, path.replace('ID', id))).toMatchObject({
      status: 404,
      body: { error_code: 'not_found' },
    });
    expect(await store.listEndpoints('other')).toEqual([
      exampleEndpoint({ id: 'whe_other', tenant: 'other' }),
    ]);
  });
});
