import { connect, type Socket } from 'node:net';
import { exampleBody, exampleResult } from '@livegate/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MAX_HEADERS } from '../../apps/api/src/http/http-server.js';
import { errorBody } from '@livegate/testing/gateway/error-body';
import { type GatewayTestOptions, startGateway } from '@livegate/testing/gateway/gateway';
import { connectRaw, head, sendRaw } from '@livegate/testing/gateway/raw-http';
import { greySquare } from '@livegate/testing/images/photos';

const livez = 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n';
const json = 'Content-Type: application/json';
const image = '{"image":"AAAA"}';
const chunks = `10\r\n${image}\r\n0\r\n\r\n`;
/** A request that must never be answered: it is in the body of another one. */
const hidden = 'GET /v1/jobs/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** A complete request with an image that is accepted. */
async function checkRequest(): Promise<string> {
  const { jpeg } = await greySquare();
  const body = JSON.stringify({ image: jpeg.toString('base64') });
  return head(json, `Content-Length: ${body.length}`) + body;
}

/** The gateway and the lines of its log. */
async function start(options: GatewayTestOptions = {}) {
  const lines: string[] = [];
  const gateway = await startGateway({ ...options, onLog: (line) => lines.push(line) });
  return { ...gateway, lines };
}

describe('a request whose end two servers may see in different places', () => {
  it.each([
    ['CL.TE', head(json, 'Content-Length: 6', 'Transfer-Encoding: chunked') + '0\r\n\r\n' + hidden],
    ['TE.CL', head(json, 'Transfer-Encoding: chunked', 'Content-Length: 16') + chunks + hidden],
    ['two lengths', head(json, 'Content-Length: 16', 'Content-Length: 0') + image + hidden],
    ['two equal lengths', head(json, 'Content-Length: 16', 'Content-Length: 16') + image + hidden],
    ['a list of lengths', head(json, 'Content-Length: 16, 16') + image + hidden],
    ['a length with a sign', head(json, 'Content-Length: +16') + image + hidden],
    ['a hexadecimal length', head(json, 'Content-Length: 0x10') + image + hidden],
    ['a space before the colon', head(json, 'Content-Length : 16') + image + hidden],
    ['an unknown coding', head(json, 'Transfer-Encoding: xchunked') + chunks + hidden],
    ['chunked that is not last', head(json, 'Transfer-Encoding: chunked, gzip') + chunks + hidden],
    ['chunked in two lines', head(json, 'Transfer-Encoding: x\r\nTransfer-Encoding: y') + hidden],
    ['a folded header', head(json, 'X: y\r\n Content-Length: 16') + image + hidden],
    ['a folded coding', head(json, 'Transfer-Encoding:\r\n chunked') + chunks + hidden],
    ['a bare LF after a header', head(json, 'X: y\nContent-Length: 16') + image + hidden],
    ['a bare CR in a header', head(json, 'X: y\rContent-Length: 16') + image + hidden],
    ['a bare LF after a chunk', head(json, 'Transfer-Encoding: chunked') + `10\n${image}\n0\n\n`],
    ['a NUL in a header', head(json, 'X: \0', 'Content-Length: 16') + image + hidden],
    ['chunks in HTTP/1.0', head(json, 'Transfer-Encoding: chunked').replace('1.1', '1.0') + chunks],
    ['two Hosts', head(json, 'Host: other', 'Content-Length: 16') + image],
  ])('is refused, and what follows it is not read: %s', async (_name, bytes) => {
    const { port, lines, queue } = await start({ outcome: 'never' });
    const client = connectRaw(port);
    onTestFinished(client.destroy);
    client.send(Buffer.from(bytes, 'latin1'));
    const answer = await client.next();
    expect(answer).toMatchObject({ status: 400, body: errorBody(400, 'bad_request') });
    expect(await client.next()).toBeUndefined();
    expect(lines.join('')).not.toContain('hidden');
    expect(queue.jobs.size).toBe(0);
  });

  it.each([
    ['a short extension of a chunk', `10;a=b\r\n${image}\r\n0\r\n\r\n`, 400, 'invalid_image'],
    ['a trailer', `10\r\n${image}\r\n0\r\nX: y\r\n\r\n`, 400, 'invalid_image'],
    ['20 KB of extensions', `10;${'x'.repeat(20_000)}\r\n${image}`, 400, 'bad_request'],
    [
      '20 KB of trailers',
      `10\r\n${image}\r\n0\r\nX: ${'y'.repeat(20_000)}`,
      431,
      'headers_too_large',
    ],
    ['a length beyond 64 bits', `fffffffffffffffff\r\n${image}`, 400, 'bad_request'],
  ])('has limits in its chunks: %s', async (_name, body, status, code) => {
    const { port } = await start();
    const answer = await sendRaw(port, [head(json, 'Transfer-Encoding: chunked'), body]);
    expect(answer).toMatchObject({ status, body: errorBody(status, code) });
  });
});

describe('headers', () => {
  it('beyond the limit are refused, not dropped', async () => {
    const { port } = await start();
    // `head` has four of its own.
    const of = (count: number) => Array.from({ length: count }, (_, i) => `X-${i}: y`);
    const least = await sendRaw(port, [head(...of(MAX_HEADERS - 5), 'Content-Length: 0')]);
    expect(least.status).toBe(400);
    const most = await sendRaw(port, [head(...of(MAX_HEADERS), 'Content-Length: 0')]);
    expect(most).toMatchObject({ status: 431, body: errorBody(431, 'headers_too_large') });
  });

  it('that never end are answered with 408 at their own limit, long before that of uploads', async () => {
    const { port } = await start({ http: { headersTimeoutMs: 300 } });
    const silent = connectRaw(port);
    const slow = connectRaw(port);
    slow.send('POST / HTTP/1.1\r\nHost: localhost\r\nX: y');
    for (const client of [silent, slow]) {
      expect(await client.next()).toMatchObject({
        status: 408,
        body: errorBody(408, 'request_timeout'),
      });
      expect(await client.next()).toBeUndefined();
    }
  });

  it('that come byte by byte have the same limit', async () => {
    const { port } = await start({ http: { headersTimeoutMs: 300 } });
    const client = connectRaw(port);
    client.send('POST / HTTP/1.1\r\n');
    const drip = setInterval(() => client.send('X: y\r\n'), 20);
    onTestFinished(() => clearInterval(drip));
    expect(await client.next()).toMatchObject({ status: 408 });
  });
});

describe('a client that does not read its answers', () => {
  const document = 'GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n';

  /** Asks for more and more documents, which fills the buffers of both systems. */
  function connectDeaf(port: number): Socket {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => undefined).pause();
    const asking = setInterval(() => socket.write(document.repeat(20)), 10);
    onTestFinished(() => void socket.destroy());
    socket.once('close', () => clearInterval(asking));
    return socket;
  }

  it('is cut off', { timeout: 30_000 }, async () => {
    const { port, countConnections } = await start({ http: { stallTimeoutMs: 200 } });
    connectDeaf(port);
    await expect.poll(countConnections).toBe(1);
    await expect.poll(countConnections, { timeout: 25_000, interval: 20 }).toBe(0);
  });

  it('does not limit a pipelined check that waits longer behind a fast answer', async () => {
    const { port, queue, finish } = await start({ outcome: 'never', http: { stallTimeoutMs: 50 } });
    const client = connectRaw(port);
    onTestFinished(client.destroy);
    client.send(livez, await checkRequest());
    expect(await client.next()).toMatchObject({ status: 200 });
    await expect.poll(() => queue.jobs.size).toBe(1);
    const [id = ''] = queue.jobs.keys();
    // Longer than the limit of an answer that nobody reads.
    const later = performance.now() + 200;
    await expect.poll(() => performance.now(), { interval: 20 }).toBeGreaterThan(later);
    await finish(id, { result: exampleResult });
    expect(await client.next()).toMatchObject({ status: 200, body: exampleBody });
  });
});

describe('connections', () => {
  it('beyond the limit close the one that is idle longest', async () => {
    const { port } = await start({ http: { maxConnections: 3 } });
    const clients = Array.from({ length: 3 }, () => connectRaw(port));
    for (const client of clients) {
      client.send(livez);
      expect(await client.next()).toMatchObject({ status: 200 });
      onTestFinished(client.destroy);
    }
    const [first, second, third] = clients;
    // The first has answered last of all.
    first!.send(livez);
    expect(await first!.next()).toMatchObject({ status: 200 });
    expect(await sendRaw(port, [livez])).toMatchObject({ status: 200 });
    expect(await second!.next()).toBeUndefined();
    for (const kept of [first, third]) {
      kept!.send(livez);
      expect(await kept!.next()).toMatchObject({ status: 200 });
    }
  });

  it('are refused with 503 while every other one waits for an answer', async () => {
    const { port, queue } = await start({ outcome: 'never', http: { maxConnections: 1 } });
    const waiting = connectRaw(port);
    onTestFinished(waiting.destroy);
    waiting.send(await checkRequest());
    await expect.poll(() => queue.jobs.size).toBe(1);
    const refused = connectRaw(port);
    refused.send(livez);
    const answer = await refused.next();
    expect(answer).toMatchObject({ status: 503, body: errorBody(503, 'overloaded') });
    expect(Number(answer?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await refused.next()).toBeUndefined();
    waiting.destroy();
    await expect.poll(async () => (await sendRaw(port, [livez])).status).toBe(200);
  });
});
