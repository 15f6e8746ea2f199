import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKeys } from '@livegate/core/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  developmentCredential,
  hashSecret,
} from '../../apps/api/src/credentials/credential-book.js';
import { findFreePort } from '../../tools/dev/ports.js';
import { selfie } from '@livegate/testing/images/photos';
import { startOtlpReceiver } from '@livegate/testing/product/otlp-receiver';
import { createEnv, type Env, untilReady } from '@livegate/testing/product/processes';
import { createOwnRedis } from '@livegate/testing/redis/own-redis';

const eventually = { timeout: 30_000, interval: 50 };
const prefix = '{canaries}';

/** Secrets that one run of the product uses, each recognizable. Some are added during the run. */
const secrets: Record<string, string> = {
  password: 'canary-password-4f1d',
  wrongPassword: 'canary-wrong-password-77ab',
  apiKey: 'canary-api-key-93c2',
  redisPassword: 'canary-redis-password-0c6e',
  endpointToken: 'canary-endpoint-token-5b1a',
  requestToken: 'canary-request-token-8e2f',
  idempotencyKey: 'canary-idempotency-key-61d0',
  wrongBody: 'canary-wrong-body-2a2a',
  imageKey: 'c0ffee'.padEnd(64, '9'),
};

/** Everything that the run left, by place. */
const places: Record<string, string> = { output: '', answers: '' };
const closers: (() => unknown)[] = [];
let photo: Buffer;

beforeAll(async () => {
  photo = await selfie();
  const run = runProduct();
  const limit = new Promise((_, reject) => {
    const fail = () => reject(new Error(`stuck after: ${places['output']!.slice(-4000)}`));
    const timer = setTimeout(fail, 120_000);
    run.finally(() => clearTimeout(timer)).catch(() => undefined);
  });
  await Promise.race([run, limit]);
}, 180_000);
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

const basic = (user: string, password: string) => ({
  Authorization: `Basic ${btoa(`${user}:${password}`)}`,
});
const auth = () => ({
  ...basic('acme', secrets['password']!),
  'x-api-key': secrets['apiKey']!,
});

/** Uses every feature, lets it fail where it can, and fills `places`. */
async function runProduct(): Promise<void> {
  const redis = await createOwnRedis({ requirepass: secrets['redisPassword']! });
  closers.push(() => redis.remove());
  const redisUrl = redis.url.replace('//', `//:${secrets['redisPassword']}@`);
  const otlp = await startOtlpReceiver();
  closers.push(otlp.close);
  const folder = await writeFiles();
  const ports = [await findFreePort(), await findFreePort()];
  const env = createEnv({
    REDIS_URL: redisUrl,
    LIVEGATE_KEY_PREFIX: prefix,
    LIVEGATE_LOG_LEVEL: 'trace',
    LIVEGATE_CREDENTIALS_FILE: join(folder, 'credentials.json'),
    LIVEGATE_IMAGE_KEYS_FILE: join(folder, 'image-keys'),
    LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '127.0.0.1',
    LIVEGATE_QUEUE_BOARD: 'true',
    LIVEGATE_AUDIT: 'file',
    LIVEGATE_AUDIT_DIR: join(folder, 'audit'),
    OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_METRICS_EXPORTER: 'otlp,prometheus',
    OTEL_METRIC_EXPORT_INTERVAL: '500',
    OTEL_BSP_SCHEDULE_DELAY: '200',
  });
  const port = await findFreePort();
  const apiEnv = { ...env, PORT: `${port}`, OTEL_EXPORTER_PROMETHEUS_PORT: `${ports[0]}` };
  const workerEnv = { ...env, OTEL_EXPORTER_PROMETHEUS_PORT: `${ports[1]}` };
  const [api, worker] = [capture('api', apiEnv), capture('worker', workerEnv)];
  const url = `http://127.0.0.1:${port}`;
  await untilWritten('"msg":"listening"');
  await untilReady(url);
  const client = new Redis(redisUrl);
  closers.push(() => client.disconnect());

  await useFeatures(url);
  await failChecks(url, client, worker);
  places['metrics'] = (await Promise.all(ports.map(scrape))).join('\n');
  places['audit'] = await readFolder(join(folder, 'audit'));
  places['redis'] = await dumpRedis(client);
  await redis.stop();
  await send(url, 'GET', `/v1/jobs/${crypto.randomUUID()}`);
  await redis.start();
  await untilReady(url);
  worker.kill('SIGKILL');
  await refuseStart({ ...apiEnv, REDIS_URL: redisUrl.replace(/:\d+$/, ':wrong') });
  await refuseStart({ ...apiEnv, LIVEGATE_IMAGE_KEYS_FILE: join(folder, 'broken-keys') });
  const closed = once(api, 'close');
  api.kill('SIGTERM');
  await closed;
  places['telemetry'] = otlp.raw();
}

const untilWritten = (text: string) =>
  vi.waitUntil(() => places['output']!.includes(text), eventually);

async function writeFiles(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'livegate-canaries-'));
  closers.push(() => rm(folder, { recursive: true }));
  const credential = {
    ...developmentCredential,
    tenant: 'acme',
    username: 'acme',
    password_sha256: hashSecret(secrets['password']!),
    api_key_sha256: hashSecret(secrets['apiKey']!),
  };
  await writeFile(join(folder, 'credentials.json'), JSON.stringify({ credentials: [credential] }));
  await writeFile(join(folder, 'image-keys'), `one ${secrets['imageKey']}\n`);
  await writeFile(join(folder, 'broken-keys'), `${secrets['imageKey']} one\n`);
  return folder;
}

/** Keeps all output of a process, whatever it is. */
function capture(app: 'api' | 'worker', env: Env) {
  const child = spawn(process.execPath, [`apps/${app}/dist/bundle/main.js`], { env });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => (places['output'] += data.toString('latin1')));
  }
  closers.push(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  });
  return child;
}

async function refuseStart(env: Env): Promise<void> {
  const [code] = (await once(capture('api', env), 'close')) as [number];
  expect(code).not.toBe(0);
}

interface Sent {
  headers?: Record<string, string>;
  body?: NonNullable<RequestInit['body']>;
}

/** The answer belongs to what the run left, unless its purpose is to hand out a secret. */
async function send(url: string, method: string, path: string, { headers, body }: Sent = {}) {
  const response = await fetch(url + path, {
    method,
    headers: { ...auth(), ...headers },
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  return {
    status: response.status,
    text,
    json: () => JSON.parse(text) as Record<string, unknown>,
    keep: () => (places['answers'] += `${JSON.stringify([...response.headers])} ${text}\n`),
  };
}

const json = (value: unknown): Sent => ({
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});

function formWith(image: Uint8Array, fields: Record<string, string> = {}): Sent {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  body.append('image', new Blob([Uint8Array.from(image)]));
  return { body };
}

const check = '/face/v1/passive-liveness';

async function useFeatures(url: string): Promise<void> {
  const receiver = createServer((req, res) =>
    req.resume().on('end', () => res.writeHead(500).end()),
  );
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  closers.push(() => void receiver.close());
  const hook = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook?token=`;
  const events = ['passive_liveness.completed', 'passive_liveness_session.finished'];
  const endpoint = json({ url: hook + secrets['endpointToken'], events });
  const created = (await send(url, 'POST', '/v1/webhook-endpoints', endpoint)).json();
  secrets['endpointSecret'] = String(created['secret']);
  const rotate = `/v1/webhook-endpoints/${String(created['id'])}/rotate-secret`;
  secrets['rotatedSecret'] = String((await send(url, 'POST', rotate)).json()['secret']);
  secrets['tenantSecret'] = String(
    (await send(url, 'POST', '/v1/webhook-secret')).json()['secret'],
  );

  const keyed = { 'Idempotency-Key': secrets['idempotencyKey']! };
  const fields = { webhook_url: hook + secrets['requestToken'] };
  const sent = { ...formWith(photo, fields), headers: keyed };
  const first = await send(url, 'POST', check, sent);
  expect(first.status).toBe(200);
  first.keep();
  (await send(url, 'POST', check, json({ image: photo.toString('base64') }))).keep();

  const creation = json({ success_url: 'https://shop.example/' });
  const session = (await send(url, 'POST', '/face/v1/passive-liveness-sessions', creation)).json();
  secrets['sid'] = String(session['sid']);
  const page = `/sessions/${secrets['sid']}`;
  secrets['pageToken'] = String((await send(url, 'GET', `${page}/state`)).json()['token']);
  const shot = await send(
    url,
    'POST',
    `${page}/photo`,
    formWith(photo, { token: secrets['pageToken'] }),
  );
  expect(shot.status).toBe(200);

  await untilWritten('webhook attempted');
  (await send(url, 'GET', `/operator/queues/api/queues?activeQueue=liveness`)).keep();
}

async function failChecks(url: string, client: Redis, worker: ReturnType<typeof capture>) {
  const wrong = { headers: basic('acme', secrets['wrongPassword']!) };
  for (const [method, path, sent] of [
    ['GET', `/v1/jobs/x?api_key=${secrets['apiKey']}`, wrong],
    ['POST', '/v1/webhook-endpoints', json({ url: `ftp://${secrets['wrongBody']}`, events: [] })],
    ['POST', check, { ...json({}), body: `{"image": ${secrets['wrongBody']}` }],
    ['POST', check, formWith(Buffer.from(`no image ${secrets['wrongBody']}`))],
    ['POST', check, formWith(photo.subarray(0, photo.length / 2))],
  ] as [string, string, Sent][]) {
    const answer = await send(url, method, path, sent);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    answer.keep();
  }
  await failTampered(url, client, worker);
}

/** A check whose image is changed in Redis, and which is our error. */
async function failTampered(url: string, client: Redis, worker: ReturnType<typeof capture>) {
  const find = () => client.keys(createKeys(prefix).image('*'));
  // A worker deletes the image of an earlier check beside its reply.
  await vi.waitUntil(async () => (await find()).length === 0, eventually);
  worker.kill('SIGSTOP');
  const answer = send(url, 'POST', check, formWith(photo));
  await vi.waitUntil(async () => (await find()).length === 1, eventually);
  places['redisDuringCheck'] = await dumpRedis(client);
  const [key = ''] = await find();
  await client.call('SETRANGE', key, '200', 'xxxx');
  worker.kill('SIGCONT');
  const failed = await answer;
  expect(failed.status).toBe(500);
  failed.keep();
}

async function scrape(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

async function readFolder(folder: string): Promise<string> {
  const names = await readdir(folder);
  return (await Promise.all(names.map((name) => readFile(join(folder, name), 'latin1')))).join('');
}

/** One line for each key: its name, a tab, and its raw value with all names and fields. */
async function dumpRedis(client: Redis): Promise<string> {
  const keys = await client.keys('*');
  const lines = keys.map(
    async (key) => `${key}\t${(await readKey(client, key)).replaceAll('\n', ' ')}`,
  );
  return (await Promise.all(lines)).join('\n');
}

async function readKey(client: Redis, key: string): Promise<string> {
  const type = await client.type(key);
  if (type === 'string') return (await client.getBuffer(key))?.toString('latin1') ?? '';
  if (type === 'hash') return JSON.stringify(await client.hgetall(key));
  if (type === 'list') return JSON.stringify(await client.lrange(key, 0, -1));
  if (type === 'set') return JSON.stringify(await client.smembers(key));
  if (type === 'zset') return JSON.stringify(await client.zrange(key, '0', '-1'));
  return JSON.stringify(await client.xrange(key, '-', '+'));
}

/** Where Redis keeps a secret on purpose, because the product cannot work without it. */
const kept: Record<string, RegExp> = {
  endpointSecret: /:webhook-endpoints:/,
  rotatedSecret: /:webhook-endpoints:/,
  tenantSecret: /:webhook-secrets:/,
  endpointToken: /:webhook-endpoints:/,
  // The URL that a request names is called when its check ends.
  requestToken: /:(liveness:[^:]+|webhooks:[^:]+|delivery:[^:]+)$/,
  // The sid names the session's record, its check and its event.
  sid: /:(session:\w+|session-image:.*|liveness:[^:]+|webhooks:[^:]+|delivery:[^:]+)$/,
  // Its record remembers the tokens that were used.
  pageToken: /:session:\w+$/,
};

/** The forms in which a text is likely to be written. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    encodeURIComponent(secret),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('hex'),
  ];
}

/** Pieces of the photo, 24 bytes each: raw, in base64 at any offset, in hex, and as a list of numbers. */
function piecesOf(image: Buffer): string[] {
  const starts = Array.from(
    { length: 40 },
    (_, i) => 600 + i * Math.floor((image.length - 700) / 40),
  );
  return starts.flatMap((start) => {
    const piece = image.subarray(start, start + 24);
    const inBase64 = [0, 1, 2].map((skip) =>
      image.subarray(start + skip, start + skip + 24).toString('base64'),
    );
    return [piece.toString('latin1'), ...inBase64, piece.toString('hex'), [...piece].join(',')];
  });
}

function findSecrets(place: string, text: string): string[] {
  const isRedis = place.startsWith('redis');
  return Object.entries(secrets).flatMap(([name, secret]) => {
    const lines = isRedis
      ? text.split('\n').filter((line) => !kept[name]?.test(line.split('\t')[0]!))
      : [text];
    return formsOf(secret).some((form) => lines.some((line) => line.includes(form))) ? [name] : [];
  });
}

describe('a whole run of the product leaves', () => {
  const names = ['output', 'telemetry', 'metrics', 'answers', 'audit', 'redis', 'redisDuringCheck'];

  it.each(names)('no secret in its %s', (place) => {
    expect(findSecrets(place, places[place]!)).toEqual([]);
  });

  it.each(names)('no piece of an image in its %s', (place) => {
    expect(piecesOf(photo).filter((piece) => places[place]!.includes(piece))).toEqual([]);
  });

  it('something to search in every place, and no secret is empty', () => {
    expect(places['output']).toMatch(/webhook attempted.*was changed.*The configuration is wrong/s);
    expect(places['telemetry']).toContain('passive-liveness');
    expect(places['metrics']).toContain('livegate_');
    expect(places['answers']).toContain('internal_error');
    expect(places['audit']).toContain('"tenant":"acme"');
    expect(places['redis']).toMatch(/:liveness:[0-9a-f-]{36}\t/);
    expect(places['redisDuringCheck']).toMatch(/:image:[0-9a-f-]{36}\tLGE1/);
    expect(Object.values(secrets).filter((secret) => secret.length < 18)).toEqual([]);
  });

  it('no form of a secret or of the image that the search would miss', () => {
    for (const [name, secret] of Object.entries(secrets)) {
      for (const form of formsOf(secret))
        expect(findSecrets('output', `… ${form} …`)).toContain(name);
    }
    for (const text of [
      photo.toString('latin1'),
      photo.toString('base64'),
      photo.toString('hex'),
      [...photo].join(','),
    ]) {
      expect(piecesOf(photo).filter((piece) => text.includes(piece)).length).toBeGreaterThan(20);
    }
  });
});
