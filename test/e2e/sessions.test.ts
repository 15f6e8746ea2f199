import { createServer, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { LogLevel, setLogLevel, Vision } from '@glair/vision';
import { noFace, selfie } from '@livegate/testing/images/photos';
import { ask } from '@livegate/testing/product/post-image';
import {
  type ApiProcess,
  createEnv,
  startApi,
  startWorker,
  untilReady,
} from '@livegate/testing/product/processes';
import { Redis } from 'ioredis';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

const eventually = { timeout: 20_000, interval: 50 };
const urls = {
  success_url: 'https://shop.example/done?order=4711#/next',
  cancel_url: 'https://shop.example/cart',
};

interface Created {
  sid: string;
  url: string;
  cancel_url: string | null;
  expired: number;
}

interface State {
  status: string;
  checking: boolean;
  tries_left: number;
  token: string | null;
  success_redirect: string | null;
}

let worker: Awaited<ReturnType<typeof startWorker>>;
let gateways: [ApiProcess, ApiProcess];

/** Two gateways and a worker on a real Redis. */
beforeAll(async () => {
  setLogLevel(LogLevel.SILENT);
  // The SDK prints every request.
  vi.spyOn(console, 'log').mockReturnValue();
  const env = createEnv({
    LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '127.0.0.1',
    // Between the scores of the selfie, 0.003, and of its striped copy, 0.03.
    LIVEGATE_MODERATE_FROM: '0.01',
  });
  let [first, second] = [undefined, undefined] as (ApiProcess | undefined)[];
  [worker, first, second] = await Promise.all([startWorker(env), startApi(env), startApi(env)]);
  gateways = [first, second];
  await Promise.all(gateways.map(({ url }) => untilReady(url)));
}, 60_000);
afterAll(async () => {
  vi.restoreAllMocks();
  await Promise.all([worker, ...gateways].map((process) => process.stop('SIGKILL')));
});

const sdk = (baseUrl: string) => new Vision({ baseUrl }).faceBio.passiveLivenessSessions;
const create = async (more: object = {}) => {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ ...urls, ...more });
  const path = `${gateways[0].url}/face/v1/passive-liveness-sessions`;
  return (await ask(path, { method: 'POST', headers, body })).body as unknown as Created;
};
const at = (gateway: 0 | 1, sid: string) => `${gateways[gateway].url}/sessions/${sid}`;

async function readState(page: string): Promise<State> {
  return (await (await fetch(`${page}/state`)).json()) as State;
}

async function sendPhoto(page: string, image: Buffer, token?: string | null) {
  const body = new FormData();
  body.set('token', token ?? (await readState(page)).token ?? '');
  body.set('image', new Blob([Uint8Array.from(image)]));
  const response = await fetch(`${page}/photo`, { method: 'POST', body });
  return { status: response.status, body: (await response.json()) as State };
}

/** A good picture whose score is not LOW here, so that it costs a try without finishing the session. */
async function stripedSelfie(): Promise<Buffer> {
  const { data, info } = await sharp(await selfie())
    .raw()
    .toBuffer({ resolveWithObject: true });
  const striped = data.map((value, i) => {
    const phase = Math.floor(i / 3) % info.width;
    const shade = 0.55 - 0.45 * Math.sin((2 * Math.PI * (phase + (i % 3))) / 3);
    return Math.min(255, 1.2 * value * shade);
  });
  return sharp(striped, { raw: info }).jpeg().toBuffer();
}

describe('the GLAIR Vision SDK', () => {
  it('creates a session and reads its result, over two gateways, with its own defaults', async () => {
    const { success_url } = urls;
    const created = (await sdk(gateways[0].url).create({ success_url })) as Created;
    expect(created).toMatchObject({ status: 'PENDING', success_url, cancel_url: null });
    // The rule of the Java SDK.
    expect(created.url.split('/').pop()).toBe(created.sid);
    const { sid } = created;
    const pending = { ...created, result: null, signals: [] };
    expect(await sdk(gateways[1].url).retrieve({ sid })).toEqual(pending);

    const answer = await sendPhoto(created.url, await selfie());
    expect(answer.body).toMatchObject({
      status: 'FINISHED',
      success_redirect: `https://shop.example/done?order=4711&sid=${sid}#/next`,
    });
    // As GLAIR's Next.js example reads it.
    const { result, status } = (await sdk(gateways[1].url).retrieve({ sid })) as {
      status: string;
      result: { result: { spoof_status: string; spoof_percentage: number } };
    };
    expect(status).toBe('FINISHED');
    expect(result.result.spoof_status).toBe('LOW');
    expect(result.result.spoof_percentage).toBeCloseTo(0, 1);
  });

  it('works with a base URL that ends in "/" and with a cancel_url', async () => {
    const created = (await sdk(`${gateways[0].url}/`).create(urls)) as Created;
    expect(created.cancel_url).toBe(urls.cancel_url);
  });

  it('throws the JSON of an unknown sid', async () => {
    const unknown = sdk(gateways[0].url).retrieve({ sid: 'a'.repeat(32) });
    await expect(unknown).rejects.toMatchObject({ error_code: 'not_found', http_status: 404 });
  });

  it('throws the JSON of a URL that leads to no web page', async () => {
    const refused = sdk(gateways[0].url).create({ success_url: 'javascript:alert(1)' });
    await expect(refused).rejects.toMatchObject({ error_code: 'invalid_request' });
  });
});

describe('a session over two gateways', () => {
  it('counts one try for ten simultaneous photos, and finishes once', async () => {
    const { sid } = await create({ max_tries: 10 });
    const spoof = await stripedSelfie();
    const pages = Array.from({ length: 10 }, (_, n) => at(n % 2 === 0 ? 0 : 1, sid));
    const tokens = await Promise.all(pages.map(async (page) => (await readState(page)).token));
    const answers = await Promise.all(pages.map((page, n) => sendPhoto(page, spoof, tokens[n])));
    const accepted = answers.filter(({ status }) => status === 200);
    const refused = answers.filter(({ status }) => status === 409);
    expect(accepted.length + refused.length).toBe(10);
    expect(accepted.length).toBeGreaterThan(0);
    const { tries_left } = await readState(at(0, sid));
    expect(10 - tries_left).toBe(accepted.length);
  });

  it('counts one try for one token that is sent ten times', async () => {
    const { sid } = await create();
    const spoof = await stripedSelfie();
    const { token } = await readState(at(0, sid));
    const pages = Array.from({ length: 10 }, (_, n) => at(n % 2 === 0 ? 0 : 1, sid));
    const answers = await Promise.all(pages.map((page) => sendPhoto(page, spoof, token)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await readState(at(1, sid))).toMatchObject({ tries_left: 2 });
  });

  it('gives a hint and no try for a photo without a face', async () => {
    const { sid } = await create();
    expect((await sendPhoto(at(1, sid), await noFace())).body).toMatchObject({
      status: 'PENDING',
      tries_left: 3,
      hint: { code: 'face_not_detected' },
    });
  });

  it('is settled and announced once when the gateway dies that queued its photo', async () => {
    const messages: { type: string; data: { sid: string } }[] = [];
    const receive = async (req: IncomingMessage) =>
      messages.push((await json(req)) as (typeof messages)[number]);
    const receiver = createServer((req, res) => void receive(req).then(() => res.end('{}')));
    receiver.listen(0, '127.0.0.1');
    onTestFinished(() => void receiver.close());
    await once(receiver, 'listening');
    const env = createEnv({
      LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES: '127.0.0.1',
      // Between the scores of the selfie, 0.003, and of its striped copy, 0.03.
      LIVEGATE_MODERATE_FROM: '0.01',
    });
    const [ownWorker, dying, surviving] = await Promise.all([
      startWorker(env),
      startApi(env),
      startApi(env),
    ]);
    onTestFinished(async () => {
      await Promise.all([ownWorker, surviving].map((process) => process.stop('SIGKILL')));
    });
    await Promise.all([dying, surviving].map(({ url }) => untilReady(url)));
    const headers = { 'content-type': 'application/json' };
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
    const events = ['passive_liveness.completed', 'passive_liveness_session.finished'];
    const endpoint = JSON.stringify({ url, events });
    await ask(`${surviving.url}/v1/webhook-endpoints`, { method: 'POST', headers, body: endpoint });
    const { sid } = (await sdk(dying.url).create(urls)) as Created;

    ownWorker.child.kill('SIGSTOP');
    const photo = sendPhoto(`${dying.url}/sessions/${sid}`, await selfie());
    photo.catch(() => undefined);
    const redis = new Redis(env['REDIS_URL'] ?? '');
    onTestFinished(() => redis.disconnect());
    const waiting = () => redis.zcard(`${env['LIVEGATE_KEY_PREFIX']}:liveness:prioritized`);
    await expect.poll(waiting, eventually).toBe(1);
    const page = `${surviving.url}/sessions/${sid}`;
    expect(await readState(page)).toMatchObject({ checking: true });
    await dying.stop('SIGKILL');
    await expect(photo).rejects.toThrow('fetch failed');
    ownWorker.child.kill('SIGCONT');

    // Nobody reads the session: the announcement of the check settles it.
    await expect.poll(() => messages.length, eventually).toBe(1);
    expect(messages[0]).toMatchObject({
      type: 'passive_liveness_session.finished',
      data: { sid, status: 'FINISHED', result: { result: { spoof_status: 'LOW' } } },
    });
    expect(await readState(page)).toMatchObject({ status: 'FINISHED' });
  });
});
