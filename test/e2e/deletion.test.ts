import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Assessment, LivegateError } from '@livegate/core/domain';
import type { Redis } from '@livegate/core/redis';
import { exampleWorker, exampleQuality, noLargeImages, noShadow } from '@livegate/testing';
import { Redis as Server } from 'ioredis';
import sharp from 'sharp';
import { expect, it, onTestFinished } from 'vitest';
import { readWorkerConfig } from '../../apps/worker/src/config.js';
import { openWorker } from '../../apps/worker/src/open-worker.js';
import type { ImageScheduler } from '../../apps/worker/src/scheduling/schedule-images.js';
import { ask, credentials, postImage } from '@livegate/testing/product/post-image';
import { createEnv, startApi, untilReady } from '@livegate/testing/product/processes';
import { createOwnRedis } from '@livegate/testing/redis/own-redis';
import { silentLog } from '@livegate/testing/redis/sandbox';

const prefix = '{livegate}';
const score = 0.13579;
const eventually = { timeout: 20_000, interval: 50 };

/** The background color decides what the worker's worker does: see `openStubScheduler`. */
const draw = (background: string, kind: 'jpeg' | 'png' = 'jpeg') =>
  sharp({ create: { width: 64, height: 64, channels: 3, background } })
    .toFormat(kind)
    .toBuffer();

async function drawImages() {
  const [scored, scoredPng, held, refused, broken] = await Promise.all([
    draw('green'),
    draw('green', 'png'),
    draw('blue'),
    draw('red'),
    draw('black'),
  ]);
  return { scored, scoredPng, held, refused, broken };
}

type Images = Awaited<ReturnType<typeof drawImages>>;

/** Two gateway processes, and a worker in this process whose pipeline the test controls. */
async function startProduct() {
  const redis = await createOwnRedis({ rdbcompression: 'no' });
  onTestFinished(() => redis.remove());
  const env = createEnv({
    REDIS_URL: redis.url,
    LIVEGATE_KEY_PREFIX: prefix,
    LIVEGATE_RATE_LIMIT_PER_MINUTE: '1000',
    LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '127.0.0.1',
  });
  const images = await drawImages();
  const gate = createGate();
  const worker = await openWorker(readWorkerConfig(env), {
    scheduler: openStubScheduler(images, gate),
    measure: async () => ({ values: {}, distributions: {} }),
    stopping: new AbortController().signal,
    log: silentLog,
  });
  const [a, b] = await Promise.all([startApi(env), startApi(env)]);
  const client = new Server(redis.url);
  onTestFinished(async () => {
    gate.open();
    await Promise.all([a.stop('SIGKILL'), b.stop('SIGKILL')]);
    await worker.close();
    client.disconnect();
  });
  await Promise.all([untilReady(a.url), untilReady(b.url)]);
  return { a: a.url, b: b.url, images, gate, client, dataDir: redis.dataDir };
}

function createGate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

function openStubScheduler(images: Images, gate: ReturnType<typeof createGate>): ImageScheduler {
  return {
    modelSets: () => ({ current: exampleWorker }),
    executionProvider: 'cpu',
    layout: { engines: 1, intraOpThreads: 1, maxBatch: 1 },
    concurrency: 4,
    large: noLargeImages,
    shadow: noShadow,
    use: async () => false,
    async assess(bytes) {
      if (images.refused.equals(bytes)) throw new LivegateError('invalid_image');
      if (images.broken.equals(bytes)) throw new Error('broken');
      if (images.held.equals(bytes)) await gate.opened;
      const timings = { decodeMs: 1, detectMs: 2, classifyMs: 3 };
      const assessment: Assessment = {
        kind: 'scored',
        spoofProbability: score,
        logit: 0,
        views: [],
        rotation: 0,
        quality: exampleQuality,
      };
      return { assessment, modelSet: exampleWorker, timings };
    },
    drain: () => undefined,
    longestRunMs: () => 0,
    close: async () => undefined,
  };
}

/** Answers with the status in the path: /200 or /500. */
async function startReceiver(): Promise<string> {
  const server = createServer((req, res) => {
    req.resume().once('end', () => res.writeHead(Number(req.url?.slice(1))).end('{}'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

type Product = Awaited<ReturnType<typeof startProduct>>;

const sendJson = (method: string, url: string, body: object = {}) =>
  ask(url, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

async function createEndpoint(gateway: string, url: string): Promise<string> {
  const events = [
    'passive_liveness.completed',
    'passive_liveness.failed',
    'passive_liveness_session.finished',
  ];
  const { body } = await sendJson('POST', `${gateway}/v1/webhook-endpoints`, { url, events });
  return String(body['id']);
}

const submit = async (url: string, image: Buffer, headers: Record<string, string> = {}) =>
  (await postImage(url, image, { Prefer: 'respond-async', ...headers })).requestId;

async function submitWithUrl(gateway: string, image: Buffer, webhookUrl: string): Promise<string> {
  const body = new FormData();
  body.set('webhook_url', webhookUrl);
  body.set('image', new Blob([Uint8Array.from(image)]));
  const url = `${gateway}/face/v1/passive-liveness`;
  const response = await fetch(url, { method: 'POST', headers: credentials, body });
  await response.arrayBuffer();
  return response.headers.get('request-id') ?? '';
}

async function createSession(gateway: string): Promise<string> {
  const path = `${gateway}/face/v1/passive-liveness-sessions`;
  const { body } = await sendJson('POST', path, { success_url: 'https://shop.example/done' });
  return String(body['sid']);
}

async function sendPhoto(gateway: string, sid: string, image: Buffer) {
  const page = `${gateway}/sessions/${sid}`;
  const { token } = (await (await fetch(`${page}/state`)).json()) as { token: string };
  const body = new FormData();
  body.set('token', token);
  body.set('image', new Blob([Uint8Array.from(image)]));
  const response = await fetch(`${page}/photo`, { method: 'POST', body });
  return (await response.json()) as object;
}

async function listDeliveries(gateway: string, endpoint: string) {
  const { body } = await ask(`${gateway}/v1/webhook-endpoints/${endpoint}/deliveries`);
  return body['deliveries'] as { id: string; status: string; attempts: object[] }[];
}

/** Checks of every kind that are in every state at the same time. */
async function fill({ a, b, images, client }: Product) {
  const receiver = await startReceiver();
  const accepting = await createEndpoint(a, `${receiver}/200`);
  const failing = await createEndpoint(b, `${receiver}/500`);
  await sendJson('POST', `${a}/v1/webhook-secret`);

  const ended = [
    (await postImage(a, images.scored)).requestId,
    (await postImage(b, images.scoredPng)).requestId,
    (await postImage(a, images.refused)).requestId,
    (await postImage(a, images.broken)).requestId,
    await submitWithUrl(a, images.scored, `${receiver}/200`),
    await submitWithUrl(a, images.scored, `${receiver}/500`),
    await submit(a, images.scored),
  ];
  const finishedSession = await createSession(a);
  expect(await sendPhoto(b, finishedSession, images.scored)).toMatchObject({ status: 'FINISHED' });
  const poll = { headers: { Prefer: 'wait=20' } };
  for (const id of ended) await ask(`${b}/v1/jobs/${id}`, poll);
  await expect
    .poll(async () => (await listDeliveries(a, accepting)).map(({ status }) => status), eventually)
    .toEqual([...ended, finishedSession].map(() => 'succeeded'));
  await expect
    .poll(async () => (await listDeliveries(a, failing)).every((d) => d.attempts.length > 0), {
      ...eventually,
    })
    .toBe(true);
  const [{ id: delivery } = { id: '' }] = await listDeliveries(a, accepting);
  const at = `${a}/v1/webhook-endpoints`;
  await sendJson('POST', `${at}/${accepting}/deliveries/${delivery}/replay`);
  await sendJson('POST', `${at}/${failing}/test`);

  const underKey = { 'Idempotency-Key': 'running' };
  const answers = [a, b].map((gateway) => postImage(gateway, images.held, underKey));
  const running = [
    await submit(a, images.held, underKey),
    await submit(a, images.held),
    await submit(b, images.held, { 'Idempotency-Key': 'deleted' }),
    await submit(b, images.held),
  ];
  await expect.poll(() => client.llen(`${prefix}:liveness:active`), eventually).toBe(4);
  const queued = [
    await submit(a, images.scored),
    await submit(b, images.scored, { 'Idempotency-Key': 'queued' }),
    await submit(b, images.scored),
  ];
  const queuedSession = await createSession(b);
  const photo = sendPhoto(a, queuedSession, images.scored);
  const length = () => client.zcard(`${prefix}:liveness:prioritized`);
  await expect.poll(length, eventually).toBe(queued.length + 1);
  return {
    ended,
    running,
    queued,
    sessions: [finishedSession, queuedSession],
    answers: [...answers, photo],
    endpoints: [accepting, failing],
  };
}

/** Every key with its whole value, as latin1 text. */
async function readKeys(client: Server): Promise<Map<string, string>> {
  const keys = await client.keys('*');
  const read = async (key: string) => [key, await readValue(client, key)] as const;
  return new Map(await Promise.all(keys.map(read)));
}

async function readValue(client: Redis & Server, key: string): Promise<string> {
  const commands: Record<string, [string, ...string[]]> = {
    string: ['GET', key],
    hash: ['HGETALL', key],
    list: ['LRANGE', key, '0', '-1'],
    set: ['SMEMBERS', key],
    zset: ['ZRANGE', key, '0', '-1', 'WITHSCORES'],
    stream: ['XRANGE', key, '-', '+'],
    // The key has expired since KEYS listed it.
    none: ['GET', key],
  };
  const [command, ...args] = commands[await client.type(key)]!;
  return flatten(await client.callBuffer(command, ...args));
}

function flatten(reply: unknown): string {
  if (Array.isArray(reply)) return reply.map(flatten).join('\n');
  return Buffer.isBuffer(reply) ? reply.toString('latin1') : String(reply);
}

/** The first bytes of JPEG and PNG files, as latin1 text. */
const jpeg = Buffer.from('ffd8ffe0', 'hex').toString('latin1');
const jpegOfSharp = Buffer.from('ffd8ffdb', 'hex').toString('latin1');
const png = Buffer.from('89504e470d0a1a0a', 'hex').toString('latin1');

const findTraces = (text: string, ids: string[]) =>
  [...ids, `${score}`, jpeg, jpegOfSharp, png].filter((trace) => text.includes(trace));

async function findTracesInKeys(client: Server, ids: string[]) {
  const found = [...(await readKeys(client))].flatMap(([key, value]) =>
    findTraces(`${key}\n${value}`, ids).map((trace) => `${key} contains ${trace}`),
  );
  return found;
}

async function findTracesInFiles({ client, dataDir }: Product, ids: string[]) {
  await client.bgrewriteaof();
  await expect
    .poll(() => client.info('persistence'), eventually)
    .toMatch(/aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0/);
  expect(await client.info('persistence')).toMatch(/aof_last_bgrewrite_status:ok/);
  const files = await readdir(dataDir, { recursive: true, withFileTypes: true });
  const written = files.filter((file) => file.isFile());
  expect(written.length).toBeGreaterThan(1);
  const texts = await Promise.all(
    written.map((file) => readFile(join(file.parentPath, file.name), 'latin1')),
  );
  return findTraces(texts.join('\n'), ids);
}

interface DocumentedTtl {
  pattern: RegExp;
  /** Undefined for keys that do not expire. */
  maxTtlSeconds: number | undefined;
}

/** The keys of docs/reference/redis-keys.md; where two fit, the one with fewer wildcards counts. */
async function readDocumentedTtls(): Promise<DocumentedTtl[]> {
  const path = '../../docs/reference/redis-keys.md';
  const page = await readFile(new URL(path, import.meta.url), 'utf8');
  const [, ...entries] = page.split(/^- `(?=:)/m);
  const documented = entries.map((entry) => {
    const [, ttl = 'missing'] = /TTL: ([^.]+)\./.exec(entry.replaceAll(/\s+/g, ' ')) ?? [];
    return { pattern: entry.slice(0, entry.indexOf('`')), ttl };
  });
  return documented
    .toSorted((x, y) => x.pattern.split('<').length - y.pattern.split('<').length)
    .map(({ pattern, ttl }) => ({
      pattern: new RegExp(`^${pattern.replace(/<[^>]+>/g, '[^:]+')}$`),
      maxTtlSeconds: ttl === 'none' ? undefined : readSeconds(ttl),
    }));
}

const defaults: Record<string, number> = {
  LIVEGATE_IMAGE_TTL_SECONDS: 600,
  LIVEGATE_RESULT_TTL_SECONDS: 86_400,
};

function readSeconds(ttl: string): number {
  const terms = ttl.replaceAll('`', '').split(' + ');
  return terms.map((term) => defaults[term] ?? Number(term)).reduce((x, y) => x + y);
}

async function findUndocumentedTtls(client: Server) {
  const documented = await readDocumentedTtls();
  const problems = [];
  for (const key of await client.keys('*')) {
    const row = documented.find(({ pattern }) => pattern.test(key.slice(prefix.length)));
    const ttl = await client.ttl(key);
    // The key has expired since KEYS listed it.
    if (ttl === -2) continue;
    const isAsDocumented =
      row?.maxTtlSeconds === undefined ? row && ttl === -1 : ttl >= 0 && ttl <= row.maxTtlSeconds;
    if (!isAsDocumented) problems.push(`${key}: ${ttl} s`);
  }
  return problems;
}

it('every Redis key has its documented TTL, and no trace of a deleted check stays in Redis or its files', async () => {
  const product = await startProduct();
  const { a, b, client, gate } = product;
  const { ended, running, queued, sessions, answers, endpoints } = await fill(product);
  const ids = [...ended, ...running, ...queued, ...sessions];

  expect(await findUndocumentedTtls(client)).toEqual([]);
  // Proves that the search below finds these traces where they exist.
  const present = (await findTracesInKeys(client, ids)).join('\n');
  for (const trace of [...ids, `${score}`, jpegOfSharp]) expect(present).toContain(trace);

  // BullMQ's event stream would keep results after they expire, even without a deletion.
  await expect.poll(() => client.exists(`${prefix}:liveness:events`), eventually).toBe(0);

  const [first = ''] = ended;
  expect(await ask(`${b}/v1/jobs/${first}`, { method: 'DELETE' })).toMatchObject({ status: 200 });
  expect((await findTracesInKeys(client, [first])).filter((t) => t.includes(first))).toEqual([]);

  const [accepting, failing] = endpoints;
  const deliveriesOf = async (endpoint = '') =>
    [...(await readKeys(client))].filter(
      ([key, value]) => key.includes(':delivery:') && value.includes(endpoint),
    );
  expect(await deliveriesOf(failing)).not.toEqual([]);
  await ask(`${a}/v1/webhook-endpoints/${failing}`, { method: 'DELETE' });
  expect(await deliveriesOf(failing)).toEqual([]);
  const keysOfEndpoint = [...(await readKeys(client))].filter(([, value]) =>
    value.includes(failing ?? ''),
  );
  expect(keysOfEndpoint).toEqual([]);

  const [canceledRunning = '', ...otherRunning] = running.slice(1);
  const [canceledQueued = '', ...otherQueued] = queued;
  for (const id of [canceledRunning, canceledQueued]) {
    expect(await ask(`${b}/v1/jobs/${id}/cancel`, { method: 'POST' })).toMatchObject({
      status: 200,
    });
    expect(await client.exists(`${prefix}:image:${id}`)).toBe(0);
  }
  for (const id of [...ended.slice(1), ...otherRunning, ...otherQueued]) {
    expect(await ask(`${a}/v1/jobs/${id}`, { method: 'DELETE' })).toMatchObject({ status: 200 });
  }
  for (const sid of sessions) {
    const at = `${b}/face/v1/passive-liveness-sessions/${sid}`;
    expect(await ask(at, { method: 'DELETE' })).toMatchObject({ status: 200 });
  }
  expect(await findUndocumentedTtls(client)).toEqual([]);
  gate.open();
  await Promise.all(answers);
  for (const id of [running[0], canceledRunning, canceledQueued]) {
    expect(await ask(`${a}/v1/jobs/${id}`, { method: 'DELETE' })).toMatchObject({ status: 200 });
  }
  const at = `${a}/v1/webhook-endpoints/${accepting}`;
  expect(await ask(at, { method: 'DELETE' })).toMatchObject({ status: 200 });

  await expect.poll(() => findTracesInKeys(client, ids), eventually).toEqual([]);
  expect(await findUndocumentedTtls(client)).toEqual([]);
  expect(await findTracesInFiles(product, ids)).toEqual([]);
}, 120_000);
