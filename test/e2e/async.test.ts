import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKeys } from '@livegate/core/redis';
import { Redis } from 'ioredis';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { groupPhoto, noFace, selfie } from '@livegate/testing/images/photos';
import { ask, postImage, untilQueued } from '@livegate/testing/product/post-image';
import { createEnv, startApi, startWorker, untilReady } from '@livegate/testing/product/processes';
import { createOwnRedis } from '@livegate/testing/redis/own-redis';

const eventually = { timeout: 30_000, interval: 50 };

let redis: Awaited<ReturnType<typeof createOwnRedis>>;

beforeAll(async () => {
  redis = await createOwnRedis();
});
afterAll(() => redis.remove());

/** Two gateways and two workers on one Redis. */
async function openProduct() {
  const env = createEnv({
    REDIS_URL: redis.url,
    LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '127.0.0.1',
  });
  const [a, b, first, second] = await Promise.all([
    startApi(env),
    startApi(env),
    startWorker(env),
    startWorker(env),
  ]);
  const workers = [first, second] as const;
  const client = new Redis(redis.url);
  await Promise.all([untilReady(a.url), untilReady(b.url)]);
  const keys = createKeys(env['LIVEGATE_KEY_PREFIX'] ?? '');
  const close = async () => {
    for (const { child } of workers) child.kill('SIGCONT');
    await Promise.all([a, b, ...workers].map((process) => process.stop('SIGKILL')));
    client.disconnect();
  };
  return { a, b, workers, client, keys, close };
}

/** A product of the test's own, for a test that kills a process or counts all keys. */
async function startProduct() {
  const product = await openProduct();
  onTestFinished(product.close);
  return product;
}

type Product = Awaited<ReturnType<typeof openProduct>>;

const signalWorkers = ({ workers }: Product, signal: NodeJS.Signals) => {
  for (const { child } of workers) child.kill(signal);
};

const submit = (url: string, image: Buffer, headers: Record<string, string> = {}) =>
  postImage(url, image, { Prefer: 'respond-async', ...headers });

/** Repeats what a gateway refuses for now, as it may on a busy machine. */
async function submitAgain(...[url, image, headers]: Parameters<typeof submit>) {
  for (;;) {
    const answer = await submit(url, image, headers);
    if (answer.status !== 503) return answer;
    await sleep(1000 * answer.retryAfter);
  }
}

/** Severs every connection of the gateways to Redis. */
async function killGatewayConnections({ client }: Product): Promise<void> {
  const list = String(await client.client('LIST'));
  const ids = [...list.matchAll(/id=(\d+) .*name=livegate-api/g)].map(([, id = '']) => id);
  expect(ids.length).toBeGreaterThanOrEqual(4);
  for (const id of ids) await client.client('KILL', 'ID', id);
}

/** A registered webhook endpoint that verifies every event and remembers the ids of their jobs. */
async function startReceiver(url: string) {
  const jobIds = new Set<unknown>();
  let webhook: Webhook | undefined;
  const server = createServer((req, res) => void receive(req).then(() => res.end('{}')));
  async function receive(req: IncomingMessage): Promise<void> {
    const event = webhook?.verify(await text(req), req.headers as Record<string, string>);
    jobIds.add((event as { data: { id: string } }).data.id);
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const { body } = await ask(`${url}/v1/webhook-endpoints`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      url: `http://127.0.0.1:${port}`,
      events: ['passive_liveness.completed'],
    }),
  });
  webhook = new Webhook(String(body['secret']));
  return { jobIds };
}

describe('a job submitted to one gateway', () => {
  let product: Product;

  beforeAll(async () => {
    product = await openProduct();
  }, 60_000);
  afterAll(() => product.close());

  it('can be awaited and read at another gateway', async () => {
    const { a, b } = product;
    const { status, requestId } = await submit(a.url, await selfie());
    expect(status).toBe(202);
    const job = await ask(`${b.url}/v1/jobs/${requestId}`, { headers: { Prefer: 'wait=20' } });
    expect(job).toMatchObject({
      status: 200,
      body: { id: requestId, status: 'succeeded', result: { result: { status: 'LOW' } } },
    });
  });

  it('never runs once another gateway has canceled or deleted it', async () => {
    const { a, b, client, keys } = product;
    signalWorkers(product, 'SIGSTOP');
    const [canceled, deleted] = await Promise.all([
      submit(a.url, await selfie()),
      submit(a.url, await selfie()),
    ]);
    const at = (id: string) => `${b.url}/v1/jobs/${id}`;
    expect(await ask(`${at(canceled.requestId)}/cancel`, { method: 'POST' })).toMatchObject({
      body: { status: 'canceled' },
    });
    expect(await ask(at(deleted.requestId), { method: 'DELETE' })).toMatchObject({ status: 200 });
    signalWorkers(product, 'SIGCONT');
    await expect
      .poll(() => client.hget(keys.job(canceled.requestId), 'failedReason'), eventually)
      .toBe('canceled');
    expect(await ask(`${a.url}/v1/jobs/${canceled.requestId}`)).toMatchObject({
      body: { status: 'canceled', error: { error_code: 'canceled' } },
    });
    expect(await ask(`${a.url}/v1/jobs/${deleted.requestId}`)).toMatchObject({ status: 404 });
    expect(await client.exists(keys.job(deleted.requestId))).toBe(0);
  });

  it('leaves no key in Redis when another gateway deletes it while it runs', async () => {
    const { a, b, client, keys } = product;
    const { requestId } = await submit(a.url, await groupPhoto());
    await ask(`${b.url}/v1/jobs/${requestId}`, { method: 'DELETE' });
    expect(await ask(`${a.url}/v1/jobs/${requestId}`)).toMatchObject({ status: 404 });
    const left = () =>
      client.exists(keys.job(requestId), keys.image(requestId), keys.attached(requestId));
    await expect.poll(left, eventually).toBe(0);
  });

  it('is the only job for an Idempotency-Key that two gateways get at the same time', async () => {
    const { a, b } = product;
    const image = await selfie();
    const key = { 'Idempotency-Key': randomUUID() };
    const answers = await Promise.all([a, b, a, b].map(({ url }) => postImage(url, image, key)));
    expect(new Set(answers.map(({ requestId }) => requestId)).size).toBe(1);
    for (const answer of answers)
      expect(answer).toMatchObject({ status: 200, body: answers[0]?.body });
  });
});

describe('a waiting caller', () => {
  it('gets its verdict although the gateway lost its Redis connections meanwhile', async () => {
    const product = await startProduct();
    const { a, client, keys } = product;
    signalWorkers(product, 'SIGSTOP');
    const answer = postImage(a.url, await selfie());
    await untilQueued(a.url, client, keys.prefix);
    await killGatewayConnections(product);
    signalWorkers(product, 'SIGCONT');
    expect(await answer).toMatchObject({ status: 200, body: { result: { status: 'LOW' } } });
  });

  it('gets the verdict of exactly one run although the first worker was killed', async () => {
    const product = await startProduct();
    const { a, b, workers, client, keys } = product;
    // Stops the second worker until the first one, which has taken the check, is dead.
    workers[1].child.kill('SIGSTOP');
    const photo = await groupPhoto();
    const key = { 'Idempotency-Key': randomUUID() };
    const answers = [a, b].map(({ url }) => postImage(url, photo, key));
    await expect.poll(() => client.llen(`${keys.prefix}:liveness:active`), eventually).toBe(1);
    await workers[0].stop('SIGKILL');
    workers[1].child.kill('SIGCONT');
    const [first, second] = await Promise.all(answers);
    const tooMany = { status: 200, body: { result: { status: 'too many faces detected' } } };
    expect(first).toMatchObject(tooMany);
    expect(second).toEqual(first);
    // The worker logs after it has replied.
    const done = () =>
      workers[1].log.filter(
        ({ requestId, msg }) => requestId === first?.requestId && msg === 'check done',
      );
    await expect.poll(done).toHaveLength(1);
  });
});

describe('1,000 async jobs with 10 % duplicate keys', () => {
  it('end with one result and one webhook per key, and leave only results in Redis', async () => {
    const { a, b, client, keys } = await startProduct();
    const receiver = await startReceiver(a.url);
    const image = await noFace();
    const distinct = Array.from({ length: 900 }, () => randomUUID());
    const all = [...distinct, ...distinct.slice(0, 100)];
    const ids = new Map<string, Set<string>>(distinct.map((key) => [key, new Set()]));
    const queue = all.entries();
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (const [index, key] of queue) {
          const { url } = index % 2 === 0 ? a : b;
          const answer = await submitAgain(url, image, { 'Idempotency-Key': key });
          expect([200, 202]).toContain(answer.status);
          ids.get(key)?.add(answer.requestId);
        }
      }),
    );
    for (const used of ids.values()) expect(used.size).toBe(1);
    const known = new Set<unknown>([...ids.values()].map(([...used]) => used[0]));
    expect(known.size).toBe(900);

    const countOf = async (pattern: string) =>
      (await client.keys(`${keys.prefix}${pattern}`)).length;
    const ended = () => client.zcard(`${keys.prefix}:liveness:completed`);
    await expect.poll(ended, { timeout: 120_000, interval: 250 }).toBe(900);
    await expect.poll(() => receiver.jobIds.size, eventually).toBe(900);
    expect([...receiver.jobIds].every((id) => known.has(id))).toBe(true);
    await expect.poll(() => countOf(':image:*'), eventually).toBe(0);
    expect(await countOf(':attached:*')).toBe(0);
    expect(await countOf(':canceled:*')).toBe(0);
    expect(await countOf(':key:*')).toBe(900);
    expect(await countOf(':liveness:????????-*')).toBe(900);
    // Only the latest 100 finished deliveries are kept; the webhook queue is empty.
    await expect.poll(() => countOf(':delivery:*'), eventually).toBe(100);
    for (const state of ['wait', 'active', 'delayed', 'failed']) {
      expect(await countOf(`:webhooks:${state}`)).toBe(0);
    }
  }, 180_000);
});
