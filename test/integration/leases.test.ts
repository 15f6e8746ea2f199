import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createLeases } from '@livegate/core/domain';
import { describe, expect, it, onTestFinished } from 'vitest';
import { defaultAuth, formOf, path, post } from '@livegate/testing/gateway/caller';
import { type GatewayTestOptions, startGateway } from '@livegate/testing/gateway/gateway';
import { connectRaw, head } from '@livegate/testing/gateway/raw-http';
import {
  type ReceivedMessage,
  startReceiver,
  startWebhooks,
} from '@livegate/testing/gateway/webhook-gateway';
import { greySquare } from '@livegate/testing/images/photos';

const { jpeg } = await greySquare();
const nothing = createLeases().held();
const pollOptions = { timeout: 10_000, interval: 5 };

const json = JSON.stringify({ image: jpeg.toString('base64') });
const jsonHead = head('Content-Type: application/json', `Content-Length: ${json.length}`);
const type = 'Content-Type: multipart/form-data; boundary=x';
const partHead = '--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n';
const multipart = Buffer.concat([Buffer.from(partHead), jpeg, Buffer.from('\r\n--x--\r\n')]);
const multipartHead = head(type, `Content-Length: ${multipart.length}`);
const chunk = (bytes: Uint8Array) =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
const chunkedHead = head(type, 'Transfer-Encoding: chunked');

/** Requests whose bodies are incomplete. */
const cuts: [string, (string | Uint8Array)[]][] = [
  ['multipart after its headers', [multipartHead]],
  ['multipart in the head of its part', [multipartHead, multipart.subarray(0, 30)]],
  ['multipart in its file', [multipartHead, multipart.subarray(0, partHead.length + 100)]],
  ['multipart before its last boundary', [multipartHead, multipart.subarray(0, -8)]],
  ['chunked multipart after its headers', [chunkedHead]],
  ['chunked multipart in its file', [chunkedHead, chunk(multipart.subarray(0, 200))]],
  ['chunked multipart in a chunk', [chunkedHead, chunk(multipart).subarray(0, 200)]],
  ['chunked multipart before its last chunk', [chunkedHead, chunk(multipart)]],
  ['JSON after its headers', [jsonHead]],
  ['JSON in its image', [jsonHead, json.slice(0, 50)]],
];

type Client = ReturnType<typeof connectRaw>;

/** Complete requests, and one with an incomplete body. */
const wholes: typeof cuts = [
  ['whole multipart', [multipartHead, multipart]],
  ['whole JSON', [jsonHead, json]],
  ['half of an image', [jsonHead, json.slice(0, 50)]],
];

const noImage = {
  headers: ['Content-Type: application/json', 'Content-Length: 16'],
  body: '{"image":"AAAA"}',
};

/** How a client can end a connection. */
const endings: [string, (client: Client) => unknown][] = [
  ['FIN', (client) => client.destroy()],
  ['a half-close', (client) => client.hangUp()],
  ['RST', (client) => client.reset()],
];

const rows = (requests: typeof cuts, ways: typeof endings) =>
  requests.flatMap(([cut, sent]) =>
    ways.map(([ending, end]): [string, string, typeof sent, typeof end] => [
      ending,
      cut,
      sent,
      end,
    ]),
  );

type Gateway = Awaited<ReturnType<typeof startGateway>>;

/** With one place in the queue, so that a place that is not released is noticed. */
const start = (options: GatewayTestOptions = {}) =>
  startGateway({ outcome: 'never', maxWaiting: 1, ...options });

async function expectNothingHeld({ leases, uploads, countConnections }: Gateway) {
  await expect.poll(() => leases.held(), pollOptions).toEqual(nothing);
  expect(uploads.bytesInFlight).toBe(0);
  await expect.poll(countConnections, pollOptions).toBe(0);
}

/** The only place is free: the request gets as far as its body. */
async function expectAdmits({ url }: Gateway) {
  expect(await post(url, 'no image', { 'content-type': 'application/json' })).toMatchObject({
    status: 400,
  });
}

describe('all leases are released', () => {
  it.each(rows(cuts, endings))('after %s cuts off %s', async (_ending, _cut, sent, end) => {
    const gateway = await start();
    const client = connectRaw(gateway.port);
    onTestFinished(client.destroy);
    client.send(...sent);
    const reading = { admission_place: 1, parser: 1, upload_permit: 1 };
    await expect.poll(() => gateway.leases.held(), pollOptions).toMatchObject(reading);
    end(client);
    await expectNothingHeld(gateway);
    await expectAdmits(gateway);
  });

  it('after bodies that never end, each answered with 408', async () => {
    const gateway = await start({ maxWaiting: 100, http: { uploadTimeoutMs: 1000 } });
    const clients = cuts.map(([, sent]) => {
      const client = connectRaw(gateway.port);
      client.send(...sent);
      return client;
    });
    const { length } = clients;
    await expect.poll(() => gateway.leases.held(), pollOptions).toMatchObject({ parser: length });
    for (const client of clients) expect(await client.next()).toMatchObject({ status: 408 });
    for (const client of clients) client.destroy();
    await expectNothingHeld(gateway);
  });

  it.each<[string, (string | Uint8Array)[], number]>([
    ['a chunk without a length', [chunkedHead, 'what\r\n'], 400],
    [
      'a chunk without a length in the file',
      [chunkedHead, chunk(multipart.subarray(0, 200)), 'what\r\n'],
      400,
    ],
    ['corrupt multipart', [head(type, 'Content-Length: 9'), '--y\r\n\r\nab'], 400],
    [
      'a second image',
      [chunkedHead, chunk(Buffer.from(`${partHead}a\r\n${partHead}b\r\n--x--`)), '0\r\n\r\n'],
      400,
    ],
    ['a length beyond the limit', [head(type, 'Content-Length: 99999999')], 413],
    ['chunks beyond the limit', [chunkedHead, chunk(Buffer.alloc(200_000, partHead))], 413],
    ['an unknown type', [head('Content-Type: text/plain', 'Content-Length: 1'), 'a'], 415],
    ['an invalid image', [head(...noImage.headers), noImage.body], 400],
  ])('after the refusal of %s', async (_name, sent, status) => {
    const gateway = await start({ limits: { maxImageBytes: 50_000, maxImagePixels: 1e6 } });
    const client = connectRaw(gateway.port);
    onTestFinished(client.destroy);
    client.send(...sent);
    expect(await client.next()).toMatchObject({ status });
    client.destroy();
    await expectNothingHeld(gateway);
    await expectAdmits(gateway);
  });

  it.each(rows(wholes, endings))(
    'after %s during the rate limit check of %s',
    async (_ending, _cut, sent, end) => {
      const asked = createGate();
      const gateway = await start({ rateLimiter: { consume: asked.pass } });
      const client = connectRaw(gateway.port);
      onTestFinished(client.destroy);
      client.send(...sent);
      await asked.reached;
      end(client);
      await expect.poll(gateway.countConnections, pollOptions).toBe(0);
      asked.open();
      await nextTurn();
      await expectNothingHeld(gateway);
      await expectAdmits(gateway);
    },
  );

  it.each(endings)('after %s while the verdict is awaited', async (_name, end) => {
    const gateway = await start();
    const client = connectRaw(gateway.port);
    onTestFinished(client.destroy);
    client.send(jsonHead, json);
    await expect.poll(() => gateway.leases.held(), pollOptions).toMatchObject({ reply_waiter: 1 });
    end(client);
    await expectNothingHeld(gateway);
  });

  it.each(endings)('after %s while a request waits behind another one', async (_name, end) => {
    const gateway = await start({ maxWaiting: 4 });
    const client = connectRaw(gateway.port);
    onTestFinished(client.destroy);
    client.send(jsonHead, json, jsonHead, json);
    await expect.poll(() => gateway.leases.held(), pollOptions).toMatchObject({ reply_waiter: 2 });
    end(client);
    await expectNothingHeld(gateway);
  });

  it.each(endings)('after %s in a long poll', async (_name, end) => {
    const gateway = await start();
    const { id, request } = await startPoll(gateway);
    const client = connectRaw(gateway.port);
    onTestFinished(client.destroy);
    client.send(request);
    const polling = { attachment: 1, reply_waiter: 1 };
    await expect.poll(() => gateway.leases.held(), pollOptions).toMatchObject(polling);
    end(client);
    await expectNothingHeld(gateway);
    expect(await gateway.queue.read(id)).toMatchObject({ status: 'queued' });
  });

  it.each(endings)('after %s in a request without leases', async (_name, end) => {
    const gateway = await start();
    const client = connectRaw(gateway.port);
    onTestFinished(client.destroy);
    client.send(
      head('Content-Type: application/json', 'Content-Length: 99').replace(
        path,
        '/v1/webhook-endpoints',
      ),
      '{"url":',
    );
    await expect.poll(gateway.countConnections, pollOptions).toBe(1);
    end(client);
    await expectNothingHeld(gateway);
  });

  it('after an error, a reply to a long poll, and a wait that ran out', async () => {
    const gateway = await start({ maxWaiting: 100 });
    const waiting = post(gateway.url, formOf(jpeg));
    await expect.poll(() => gateway.queue.jobs.size, pollOptions).toBe(1);
    const [id = ''] = gateway.queue.jobs.keys();
    const poll = fetch(`${gateway.url}/v1/jobs/${id}`, {
      headers: { ...defaultAuth, prefer: 'wait=9' },
    });
    await expect.poll(() => gateway.leases.held(), pollOptions).toMatchObject({ attachment: 1 });
    await gateway.finish(id, { error: 'invalid_image' });
    expect(await waiting).toMatchObject({ status: 400 });
    expect(await (await poll).json()).toMatchObject({ status: 'failed' });
    expect(await post(gateway.url, formOf(jpeg), { prefer: 'wait=0' })).toMatchObject({
      status: 504,
    });
    expect(gateway.leases.held()).toEqual(nothing);
  });

  it('after Redis was down during each kind of request', async () => {
    const gateway = await start({ maxWaiting: 100 });
    const { id } = await startPoll(gateway);
    gateway.outage.away = true;
    expect(await post(gateway.url, formOf(jpeg))).toMatchObject({ status: 503 });
    const key = { 'idempotency-key': 'a' };
    expect(await post(gateway.url, formOf(jpeg), key)).toMatchObject({ status: 503 });
    const poll = await fetch(`${gateway.url}/v1/jobs/${id}`, { headers: defaultAuth });
    expect(poll.status).toBe(503);
    expect(gateway.leases.held()).toEqual(nothing);
    expect(gateway.uploads.bytesInFlight).toBe(0);
  });
});

it.each<[string, (message: ReceivedMessage) => void]>([
  ['an acceptance', ({ res }) => void res.end()],
  ['a refusal', ({ res }) => void res.writeHead(500).end()],
  ['a FIN before an answer', ({ res }) => void res.socket?.destroy()],
  ['a RST before an answer', ({ res }) => void (res.socket as Socket).resetAndDestroy()],
  [
    'a RST during the answer',
    ({ res }) => {
      res.writeHead(200, { 'content-length': 9 }).flushHeaders();
      (res.socket as Socket).resetAndDestroy();
    },
  ],
])('the slot of a receiver is released after %s', async (_name, answer) => {
  const gateway = await startWebhooks();
  const receiver = await startReceiver();
  const endpoint = await gateway.createEndpoint(receiver.url);
  await gateway.call('POST', `/v1/webhook-endpoints/${endpoint.id}/test`);
  const message = await receiver.messages.take();
  expect(gateway.leases.held()).toEqual({ ...nothing, receiver_slot: 1 });
  answer(message);
  await gateway.attempts.take();
  await expect.poll(() => gateway.leases.held(), pollOptions).toEqual(nothing);
});

/** Submits an async check; `request` is a long poll for it. */
async function startPoll({ port }: Gateway) {
  const client = connectRaw(port);
  client.send(jsonHead.replace('\r\n', '\r\nPrefer: respond-async\r\n'), json);
  const id = (await client.next())?.headers.get('request-id') ?? '';
  client.destroy();
  const auth = head().split('\r\n').slice(1).join('\r\n');
  const request = `GET /v1/jobs/${id} HTTP/1.1\r\nPrefer: wait=9\r\n${auth}`;
  return { id, request };
}

/** `pass` waits until the gate is opened. */
function createGate() {
  let [arrive, open] = [() => {}, () => {}];
  const reached = new Promise<void>((resolve) => (arrive = resolve));
  const opened = new Promise<void>((resolve) => (open = resolve));
  async function pass() {
    arrive();
    await opened;
  }
  return { pass, reached, open: () => open() };
}
