import { randomBytes } from 'node:crypto';
import { connectForBackground, createKeys, createRedisWorkerRegistry } from '@livegate/core/redis';
import { exampleWorker } from '@livegate/testing';
import { pino } from 'pino';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { selfie } from '@livegate/testing/images/photos';
import { ask, postImage } from '@livegate/testing/product/post-image';
import {
  type ApiProcess,
  createEnv,
  type Env,
  startApi,
  untilReady,
} from '@livegate/testing/product/processes';
import { createOwnRedis } from '@livegate/testing/redis/own-redis';

type OwnRedis = Awaited<ReturnType<typeof createOwnRedis>>;

/**
 * The timeouts add up to less than a second, which unit tests prove with a fake clock. The rest allows
 * for a busy machine; a command without a timeout would take ten seconds.
 */
const LIMIT_MS = 4000;
const eventually = { timeout: 10_000, interval: 25 };

let redis: OwnRedis;
let imageRedis: OwnRedis;
let photo: Uint8Array;
let large: Uint8Array;

beforeAll(async () => {
  [redis, imageRedis] = await Promise.all([createOwnRedis(), createOwnRedis()]);
  photo = await selfie();
  const [width, height] = [1600, 1600];
  const raw = { width, height, channels: 3 } as const;
  large = await sharp(randomBytes(3 * width * height), { raw })
    .png({ compressionLevel: 0 })
    .toBuffer();
});
afterAll(() => Promise.all([redis.remove(), imageRedis.remove()]));

/** A gateway, and the registration of a worker that does not exist. */
async function startGateway(overrides: Env = {}) {
  const env = createEnv({
    REDIS_URL: redis.url,
    BLOB_REDIS_URL: imageRedis.url,
    LIVEGATE_REDIS_TIMEOUT_MS: '500',
    ...overrides,
  });
  const api = await startApi(env);
  onTestFinished(async () => void (await api.stop('SIGKILL')));
  const client = connectForBackground({ url: redis.url, name: 'test' }, pino({ level: 'silent' }));
  onTestFinished(() => client.disconnect());
  const keys = createKeys(env['LIVEGATE_KEY_PREFIX'] ?? '');
  const registry = createRedisWorkerRegistry(client, keys);
  const registerWorker = () => registry.register(exampleWorker);
  await registerWorker();
  await untilReady(api.url);
  return { api, registerWorker };
}

function freeze(server: OwnRedis): void {
  server.freeze();
  onTestFinished(() => void server.thaw());
}

async function timed(answer: Promise<{ status: number; body: unknown }>) {
  const startedAt = performance.now();
  const { status, body } = await answer;
  return { status, body, ms: performance.now() - startedAt };
}

const unavailableInTime = {
  status: 503,
  body: expect.objectContaining({ error_code: 'unavailable' }) as unknown,
  ms: expect.toSatisfy((ms: number) => ms < LIMIT_MS, 'in time') as unknown,
};

/** Sends all requests at once, so that each meets the frozen server before the gateway has noticed. */
async function answersOf(
  requests: Record<string, () => Promise<{ status: number; body: unknown }>>,
) {
  const entries = Object.entries(requests);
  const answers = await Promise.all(entries.map(([, send]) => timed(send())));
  return Object.fromEntries(entries.map(([name], i) => [name, answers[i]]));
}

async function expectProblem({ url }: ApiProcess, problem: string): Promise<void> {
  const readiness = () => ask(`${url}/readyz`);
  await expect.poll(readiness, eventually).toMatchObject({ status: 503, body: { problem } });
}

async function createEndpoint({ url }: ApiProcess): Promise<string> {
  const { body } = await ask(`${url}/v1/webhook-endpoints`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      url: 'https://receiver.example/',
      events: ['passive_liveness.completed'],
    }),
  });
  return (body as { id: string }).id;
}

const async = { Prefer: 'respond-async' };

describe('while Redis is frozen', () => {
  it('every route answers 503 in time, and the gateway recovers afterwards', async () => {
    const [{ api, registerWorker }, limited] = await Promise.all([
      startGateway(),
      startGateway({ LIVEGATE_RATE_LIMIT_PER_MINUTE: '1000' }),
    ]);
    const endpoint = `${api.url}/v1/webhook-endpoints/${await createEndpoint(api)}`;
    const { requestId } = await postImage(api.url, photo, async);
    const job = `${api.url}/v1/jobs/${requestId}`;
    const post = { method: 'POST' };
    freeze(redis);
    const requests = {
      check: () => postImage(api.url, photo),
      'large check': () => postImage(api.url, large),
      'async check': () => postImage(api.url, photo, async),
      'check with a key': () => postImage(api.url, photo, { 'Idempotency-Key': 'a' }),
      'check of a limited tenant': () => postImage(limited.api.url, photo),
      'read a job': () => ask(job),
      'poll a job': () => ask(job, { headers: { Prefer: 'wait=20' } }),
      'cancel a job': () => ask(`${job}/cancel`, post),
      'delete a job': () => ask(job, { method: 'DELETE' }),
      'list endpoints': () => ask(`${api.url}/v1/webhook-endpoints`),
      'read an endpoint': () => ask(endpoint),
      'delete an endpoint': () => ask(endpoint, { method: 'DELETE' }),
      'list deliveries': () => ask(`${endpoint}/deliveries`),
      'test an endpoint': () => ask(`${endpoint}/test`, post),
      'replay a delivery': () => ask(`${endpoint}/deliveries/msg_1/replay`, post),
      'rotate a secret': () => ask(`${endpoint}/rotate-secret`, post),
      "rotate the tenant's secret": () => ask(`${api.url}/v1/webhook-secret`, post),
    };
    const expected = Object.keys(requests).map((name) => [name, unavailableInTime]);
    expect(await answersOf(requests)).toEqual(Object.fromEntries(expected));
    await expectProblem(api, 'Redis cannot be reached');
    redis.thaw();
    await registerWorker();
    await untilReady(api.url);
    await expect
      .poll(() => postImage(api.url, photo, async), eventually)
      .toMatchObject({ status: 202 });
  });
});

describe('while the Redis for images is frozen', () => {
  it('every check answers 503 in time, /readyz names the cause, and the gateway recovers', async () => {
    const { api, registerWorker } = await startGateway();
    const { requestId } = await postImage(api.url, photo, async);
    freeze(imageRedis);
    const requests = {
      check: () => postImage(api.url, photo),
      'large check': () => postImage(api.url, large),
      'delete a job': () => ask(`${api.url}/v1/jobs/${requestId}`, { method: 'DELETE' }),
    };
    const expected = Object.keys(requests).map((name) => [name, unavailableInTime]);
    expect(await answersOf(requests)).toEqual(Object.fromEntries(expected));
    await expectProblem(api, 'the Redis for images cannot be reached');
    imageRedis.thaw();
    await registerWorker();
    await untilReady(api.url);
    await expect
      .poll(() => postImage(api.url, photo, async), eventually)
      .toMatchObject({ status: 202 });
  });
});
