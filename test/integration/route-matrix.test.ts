import { createRedisCheckQueue } from '@livegate/core/redis';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  type Credential,
  developmentCredential,
  type Permission,
  permissions,
} from '../../apps/api/src/credentials/credential-book.js';
import { createConsoleRoutes } from '../../apps/api/src/operator/console/console-routes.js';
import type { Snapshot } from '../../apps/api/src/operator/console/snapshot.js';
import { openQueueBoard } from '../../apps/api/src/operator/queue-board.js';
import { errorBody } from '@livegate/testing/gateway/error-body';
import { defaultAuth, formOf, path as checkPath } from '@livegate/testing/gateway/caller';
import { type GatewayTestOptions, startGateway } from '@livegate/testing/gateway/gateway';
import { listRoutes, type Route } from '@livegate/testing/gateway/list-routes';
import { greySquare } from '@livegate/testing/images/photos';
import { openSandbox } from '@livegate/testing/redis/sandbox';

/** What must be known of every route before it may be added. Every word of a row is tested. */
interface Row {
  /** The permission that it needs; `sid` for a page of one session; `public` for everyone. */
  access: Permission | 'sid' | 'public';
  /**
   * Whose data it reaches. `job`, `session`, `endpoint` and `delivery`: of the tenant that made the
   * one in the path. `own`: the caller's, without an id. `installation`: figures of all tenants.
   */
  reaches: 'nothing' | 'own' | 'job' | 'session' | 'endpoint' | 'delivery' | 'installation';
  /**
   * Which rate is counted. `none` only for public routes, which are answered from memory, and for the
   * console, which must open while Redis, which counts requests, does not answer. `page`: by address.
   */
  rate: 'checks' | 'other' | 'page' | 'none';
}

const open: Row = { access: 'public', reaches: 'nothing', rate: 'none' };
const job: Row = { access: 'passive-liveness', reaches: 'job', rate: 'other' };
const session: Row = { access: 'sessions', reaches: 'session', rate: 'other' };
const page: Row = { access: 'sid', reaches: 'session', rate: 'page' };
const endpoint: Row = { access: 'webhook-endpoints', reaches: 'endpoint', rate: 'other' };
const operators: Row = { access: 'queue-board', reaches: 'installation', rate: 'none' };

const one = '/v1/webhook-endpoints/:id';
const table: Record<string, Row> = {
  'get /livez': open,
  'get /readyz': open,
  'get /v1/models': open,
  'get /openapi.json': open,
  'get /docs': open,
  'get /docs/:asset': open,
  'get /': open,
  'post /face/v1/passive-liveness': { access: 'passive-liveness', reaches: 'own', rate: 'checks' },
  'get /v1/jobs/:id': job,
  'delete /v1/jobs/:id': job,
  'post /v1/jobs/:id/cancel': job,
  'post /face/v1/passive-liveness-sessions': { access: 'sessions', reaches: 'own', rate: 'checks' },
  'get /face/v1/passive-liveness-sessions/:sid': session,
  'delete /face/v1/passive-liveness-sessions/:sid': session,
  'get /sessions/:sid': page,
  'get /sessions/:sid/state': page,
  'post /sessions/:sid/photo': page,
  'post /sessions/:sid/cancel': page,
  'get /v1/webhook-endpoints': { ...endpoint, reaches: 'own' },
  'post /v1/webhook-endpoints': { ...endpoint, reaches: 'own' },
  [`get ${one}`]: endpoint,
  [`patch ${one}`]: endpoint,
  [`delete ${one}`]: endpoint,
  [`get ${one}/deliveries`]: endpoint,
  [`post ${one}/rotate-secret`]: endpoint,
  [`post ${one}/test`]: endpoint,
  [`post ${one}/deliveries/:delivery/replay`]: { ...endpoint, reaches: 'delivery' },
  'post /v1/webhook-secret': { ...endpoint, reaches: 'own' },
  'get /console': operators,
  'get /console/snapshot': operators,
  'get /console/events': operators,
};

/** bull-board adds its routes below this path. */
const boardPath = '/operator/queues';

/**
 * The handlers that see requests of many routes, in order. A new one may answer for any route below
 * its path, so add it to this list only with a test of what it answers.
 */
const handlers = [
  '/ identifyRequest',
  '/ <anonymous>', // observeRequests
  '/ result', // logRequests
  '/ collapseSlashes',
  '/pages sendPageAsset', // public files
  '/sessions <anonymous>', // limitAddress
  '/sessions <anonymous>', // allowEmbedding
  ...['<anonymous>', '<anonymous>', 'readJsonBody'].flatMap((name) => [
    `/v1/webhook-endpoints ${name}`, // authenticate, limitOtherRequests, readJsonBody
    `/v1/webhook-secret ${name}`,
  ]),
  `${boardPath} <anonymous>`, // authenticatePage
  `${boardPath} <anonymous>`, // limitOtherRequests
  `${boardPath} keepPrivate`,
  `${boardPath}/static serveStatic`,
  '/console <anonymous>', // authenticatePage
  '/console keepPrivate',
  '/ refusePath',
  '/ handleError',
];

const { jpeg } = await greySquare();

async function start(options: GatewayTestOptions = {}) {
  const sandbox = await openSandbox();
  const { redis, keys } = sandbox;
  const queue = createRedisCheckQueue({ redis, keys, resultTtlSeconds: 60 });
  onTestFinished(async () => {
    await queue.close();
    await sandbox.close();
  });
  const queueBoard = openQueueBoard({
    queues: [queue.bullQueue],
    publicUrl: undefined,
    isReachable: () => true,
  });
  const tenants = ['acme', 'globex'].map(tenantOf);
  const started = await startGateway({
    playground: true,
    console: createConsoleRoutes({
      reader: { read: async () => ({}) as Snapshot },
      openStream: (_req, res) => void res.end(),
    }),
    outcome: 'never',
    queueBoard,
    credentials: tenants,
    trustedProxies: 'loopback',
    ...options,
  });
  const { routes, mounts } = listRoutes(started.app);

  async function call(route: Route, { ids = {}, ...sent }: Sent = {}) {
    const path = route.path.replaceAll(/[:*](\w+)/g, (_, name: string) => ids[name] ?? unknownId);
    return ask(started.url, route.method, path, sent);
  }
  return { ...started, routes, handlers: mounts, call };
}

interface Sent {
  ids?: Record<string, string>;
  headers?: Record<string, string>;
  body?: RequestInit['body'];
}

async function ask(url: string, method: string, path: string, { headers, body }: Sent = {}) {
  const response = await fetch(url + path, {
    method: method.toUpperCase(),
    ...(headers && { headers }),
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json');
  const json = (isJson ? JSON.parse(text) : {}) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, body: json, text };
}

/** A sid in form, and an id that nothing has. */
const unknownId = 'a'.repeat(32);

function tenantOf(tenant: string): Credential {
  return { ...developmentCredential, tenant, username: tenant };
}

const authOf = (username: string) => ({
  ...defaultAuth,
  Authorization: `Basic ${btoa(`${username}:default-password`)}`,
});

type Gateway = Awaited<ReturnType<typeof start>>;

/** Makes what the row's id means, as a tenant. */
async function make({ url }: Gateway, row: Row, tenant: string): Promise<Record<string, string>> {
  const headers = { ...authOf(tenant), 'content-type': 'application/json' };
  const post = async (path: string, body: object) =>
    (await ask(url, 'post', path, { headers, body: JSON.stringify(body) })).body as { id: string };
  if (row.reaches === 'job') {
    const asked = { ...authOf(tenant), prefer: 'respond-async' };
    const { body } = await ask(url, 'post', checkPath, { headers: asked, body: formOf(jpeg) });
    return { id: String(body['id']) };
  }
  if (row.reaches === 'session') {
    const creation = { success_url: 'https://shop.example/', cancel_url: 'https://shop.example/' };
    const { body } = await ask(url, 'post', '/face/v1/passive-liveness-sessions', {
      headers,
      body: JSON.stringify(creation),
    });
    return { sid: String(body['sid']) };
  }
  const events = ['passive_liveness.completed'];
  const { id } = await post('/v1/webhook-endpoints', { url: 'https://shop.example/', events });
  if (row.reaches === 'endpoint') return { id };
  return { id, delivery: (await post(`/v1/webhook-endpoints/${id}/test`, {})).id };
}

/** For each route of `own`: one tenant's call shows and changes nothing of another tenant's. */
const ownProofs: Record<string, (gateway: Gateway) => Promise<void>> = {
  async 'post /face/v1/passive-liveness'({ url }) {
    const idOf = async (tenant: string) => {
      const headers = { ...authOf(tenant), prefer: 'respond-async', 'idempotency-key': 'same' };
      return (await ask(url, 'post', checkPath, { headers, body: formOf(jpeg) })).body['id'];
    };
    const first = await idOf('acme');
    expect(await idOf('acme')).toBe(first);
    expect(await idOf('globex')).not.toBe(first);
  },
  async 'post /face/v1/passive-liveness-sessions'(gateway) {
    const { sid = '' } = await make(gateway, session, 'globex');
    expect(await gateway.sessions.read(sid)).toMatchObject({ tenant: 'globex' });
  },
  async 'get /v1/webhook-endpoints'(gateway) {
    await make(gateway, endpoint, 'acme');
    const list = (tenant: string) =>
      ask(gateway.url, 'get', '/v1/webhook-endpoints', { headers: authOf(tenant) });
    expect((await list('acme')).body['endpoints']).toHaveLength(1);
    expect((await list('globex')).body['endpoints']).toEqual([]);
  },
  async 'post /v1/webhook-endpoints'({ webhookStore, ...gateway }) {
    await make({ webhookStore, ...gateway }, endpoint, 'globex');
    expect(await webhookStore.listEndpoints('globex')).toHaveLength(1);
    expect(await webhookStore.listEndpoints('acme')).toEqual([]);
  },
  async 'post /v1/webhook-secret'({ url, webhookStore }) {
    const rotate = (tenant: string) =>
      ask(url, 'post', '/v1/webhook-secret', { headers: authOf(tenant) });
    await rotate('acme');
    const before = await webhookStore.readTenantSecrets('acme');
    await rotate('globex');
    expect(before).toHaveLength(1);
    expect(await webhookStore.readTenantSecrets('acme')).toEqual(before);
  },
};

const rows = Object.entries(table).map(([name, row]) => {
  const [method = '', path = ''] = name.split(' ');
  return { name, route: { method, path }, row };
});
const guarded = rows.filter(({ row }) => row.access !== 'public');
const withPermission = guarded.filter(({ row }) => row.access !== 'sid');

it('the table has exactly the routes that are registered in Express', async () => {
  const { routes } = await start();
  const names = routes
    .map(({ method, path }) => `${method} ${path}`)
    // Express answers HEAD with the handler of GET, which would open a stream: this route refuses it.
    .filter((name) => name !== 'head /console/events');
  const atBoard = names.filter((name) => name.includes(` ${boardPath}/`));
  expect(atBoard.length).toBeGreaterThan(3);
  expect(names.filter((name) => !name.includes(` ${boardPath}`)).toSorted()).toEqual(
    Object.keys(table).toSorted(),
  );
});

it('no handler outside the table answers', async () => {
  const { handlers: found } = await start();
  expect(found.map(({ path, name }) => `${path} ${name}`)).toEqual(handlers);
});

describe('a route that is not public', () => {
  it.each(withPermission)('answers 401 without credentials: $name', async ({ route }) => {
    const { call } = await start();
    expect(await call(route)).toMatchObject({ status: 401, body: errorBody(401, 'unauthorized') });
    const wrong = { ...authOf('acme'), Authorization: `Basic ${btoa('acme:wrong')}` };
    expect(await call(route, { headers: wrong })).toMatchObject({ status: 401 });
  });

  it.each(withPermission)('answers 403 without its permission: $name', async ({ route, row }) => {
    const others = permissions.filter((name) => name !== row.access);
    const { call } = await start({ credentials: [{ ...tenantOf('acme'), permissions: others }] });
    const answer = await call(route, { headers: authOf('acme') });
    expect(answer).toMatchObject({ status: 403, body: errorBody(403, 'forbidden') });
  });

  it.each(guarded)('answers 429 over its rate, and no other rate counts: $name', async (tested) => {
    const { route, row } = tested;
    for (const spent of ['checks', 'other', 'page'] as const) {
      const { call } = await start(limitTo(spent));
      const headers = { ...authOf('acme'), 'x-forwarded-for': '203.0.113.1' };
      expect((await call(route, { headers })).status).not.toBe(429);
      const second = await call(route, { headers });
      const isOver = Number(second.headers.get('retry-after')) > 0 && second.status === 429;
      expect({ spent, isOver }).toEqual({ spent, isOver: spent === row.rate });
    }
  });
});

/** One request of a kind per minute. */
function limitTo(rate: Row['rate']): GatewayTestOptions {
  return {
    rateLimitPerMinute: rate === 'checks' ? 1 : 0,
    otherRequestsPerMinute: rate === 'other' ? 1 : 0,
    sessions: {
      keepMs: 60_000,
      frameAncestors: "'none'",
      requestsPerAddress: rate === 'page' ? 1 : 0,
    },
  };
}

describe('the data of another tenant', () => {
  const byId = withPermission.filter(({ row }) => !['own', 'installation'].includes(row.reaches));

  it.each(byId)('is answered with 404: $name', async ({ route, row }) => {
    const gateway = await start();
    const ids = await make(gateway, row, 'acme');
    const sent = route.method === 'patch' ? { body: '{}' } : {};
    const as = (tenant: string) => {
      const headers = {
        ...authOf(tenant),
        ...(sent.body && { 'content-type': 'application/json' }),
      };
      return gateway.call(route, { ids, headers, ...sent });
    };
    expect(await as('globex')).toMatchObject({ status: 404, body: errorBody(404, 'not_found') });
    // Its own tenant still finds it: the id was right.
    expect((await as('acme')).status).toBeLessThan(300);
  });

  it('a delivery is not found through an endpoint of another tenant', async () => {
    const gateway = await start();
    const { delivery = '' } = await make(gateway, { ...endpoint, reaches: 'delivery' }, 'acme');
    const { id = '' } = await make(gateway, endpoint, 'globex');
    const route = { method: 'post', path: `${one}/deliveries/:delivery/replay` };
    const sent = { ids: { id, delivery }, headers: authOf('globex') };
    expect(await gateway.call(route, sent)).toMatchObject({ status: 404 });
  });

  const own = rows.filter(({ row }) => row.reaches === 'own');

  it.each(own)('is not reached without an id either: $name', async ({ name }) => {
    const prove = ownProofs[name];
    expect(prove, 'a route of "own" needs a proof').toBeDefined();
    await prove?.(await start());
  });
});

describe('a page of a session', () => {
  const pages = rows.filter(({ row }) => row.access === 'sid');

  it.each(pages)('is found by its sid only: $name', async ({ route }) => {
    const gateway = await start();
    const ids = await make(gateway, session, 'acme');
    expect((await gateway.call(route)).status).toBe(404);
    expect((await gateway.call(route, { headers: authOf('acme') })).status).toBe(404);
    expect((await gateway.call(route, { ids })).status).not.toBe(404);
  });
});

describe('a public route', () => {
  const publicRows = rows.filter(({ row }) => row.access === 'public');

  it.each(publicRows)('needs no Redis and shows no tenant: $name', async ({ route }) => {
    const gateway = await start();
    await make(gateway, job, 'acme');
    gateway.outage.away = true;
    const { status, text } = await gateway.call(route, { ids: { asset: 'page.css' } });
    expect(status).toBe(200);
    expect(text).not.toContain('acme');
  });
});

describe('the queue board', () => {
  it('asks for its permission at every route that bull-board adds', async () => {
    const { routes, call } = await start();
    const atBoard = routes.filter(({ path }) => path.startsWith(boardPath));
    expect(atBoard.length).toBeGreaterThan(3);
    for (const route of atBoard) {
      expect((await call(route)).status).toBe(401);
      const tenant = permissions.filter((name) => name !== 'queue-board');
      const other = await start({ credentials: [{ ...tenantOf('acme'), permissions: tenant }] });
      expect((await other.call(route, { headers: authOf('acme') })).status).toBe(403);
      const limited = await start(limitTo('other'));
      expect((await limited.call(route, { headers: authOf('acme') })).status).not.toBe(429);
      expect((await limited.call(route, { headers: authOf('acme') })).status).toBe(429);
    }
  });
});
