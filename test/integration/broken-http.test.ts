import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { exampleBody, exampleResult } from '@livegate/testing';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { MAX_UNANSWERED } from '../../apps/api/src/http/http-server.js';
import { errorBody, uuidV7 } from '@livegate/testing/gateway/error-body';
import { formOf, path, post } from '@livegate/testing/gateway/caller';
import { startGateway } from '@livegate/testing/gateway/gateway';
import { connectRaw, head, type RawAnswer, sendRaw } from '@livegate/testing/gateway/raw-http';

let jpeg: Buffer;

beforeAll(async () => {
  const grey = sharp({ create: { width: 64, height: 64, channels: 3, background: 'grey' } });
  jpeg = await grey.jpeg().toBuffer();
});

const multipart = 'Content-Type: multipart/form-data; boundary=x';
const part = '--x\r\nContent-Disposition: form-data; name="image"; filename="blob"\r\n\r\n';

/** A complete request with the image. */
function check(): string {
  const json = JSON.stringify({ image: jpeg.toString('base64') });
  return head('Content-Type: application/json', `Content-Length: ${json.length}`) + json;
}

function idOf(answer: RawAnswer | undefined): string | undefined {
  return answer?.headers.get('request-id');
}

describe('broken HTTP is answered in JSON, with a Request-Id', () => {
  it.each<[string, (string | Uint8Array)[], boolean, number, string]>([
    ['a request line that is none', ['NONSENSE\r\n\r\n'], false, 400, 'bad_request'],
    ['a request without a Host', ['GET /livez HTTP/1.1\r\n\r\n'], false, 400, 'bad_request'],
    ...['http://[/livez', 'http://a]/x'].map(
      (target): [string, string[], boolean, number, string] => [
        `a target that is not a URL: ${target}`,
        [`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`],
        false,
        400,
        'bad_request',
      ],
    ),
    [
      'CONNECT',
      ['CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n'],
      false,
      405,
      'method_not_allowed',
    ],
    [
      'a chunk without a length',
      [head(multipart, 'Transfer-Encoding: chunked'), 'what\r\n'],
      false,
      400,
      'bad_request',
    ],
    ['headers beyond 16 KiB', [head(`X: ${'a'.repeat(20_000)}`)], false, 431, 'headers_too_large'],
    [
      'an unknown expectation',
      [head('Expect: magic', 'Content-Length: 0')],
      false,
      417,
      'unsupported_expectation',
    ],
    [
      'multipart without a boundary',
      [head('Content-Type: multipart/form-data', 'Content-Length: 1'), 'x'],
      false,
      400,
      'invalid_multipart',
    ],
    [
      'a wrong boundary',
      [head(multipart, 'Content-Length: 9'), '--y\r\n\r\nab'],
      false,
      400,
      'invalid_multipart',
    ],
    [
      'a truncated multipart body',
      [head(multipart, `Content-Length: ${part.length + 3}`), part, 'abc'],
      false,
      400,
      'invalid_multipart',
    ],
    [
      'a body cut half-way by a client that still listens',
      [head(multipart, 'Content-Length: 5000'), part, 'abc'],
      true,
      400,
      'bad_request',
    ],
    [
      'a JSON body cut half-way',
      [head('Content-Type: application/json', 'Content-Length: 5000'), '{"image":'],
      true,
      400,
      'bad_request',
    ],
  ])('%s', async (_name, chunks, hangUp, status, code) => {
    const { port, url } = await startGateway();
    const answer = await sendRaw(port, chunks, { hangUp });
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject(errorBody(status, code));
    expect(answer.headers.get('request-id')).toMatch(uuidV7);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(await post(url, formOf(jpeg))).toMatchObject({ status: 200 });
  });

  it('408 for an upload that never ends', async () => {
    const { port } = await startGateway({ http: { uploadTimeoutMs: 1000 } });
    const answer = await sendRaw(port, [head(multipart, 'Content-Length: 5000'), part]);
    expect(answer.status).toBe(408);
    expect(answer.body).toMatchObject(errorBody(408, 'request_timeout'));
  });

  it('413 for a huge Content-Length, before any of the body is read', async () => {
    const { port } = await startGateway();
    const answer = await sendRaw(port, [head(multipart, 'Content-Length: 11534336')]);
    expect(answer.status).toBe(413);
  });

  it('413 for a huge chunked body, without waiting for its end', async () => {
    const limits = { maxImageBytes: 1000, maxImagePixels: 1e6 };
    const { port, url } = await startGateway({ limits });
    const chunk = `20000\r\n${'a'.repeat(0x20000)}\r\n`;
    const answer = await sendRaw(port, [head(multipart, 'Transfer-Encoding: chunked'), chunk]);
    expect(answer.status).toBe(413);
    expect(await post(url, formOf(jpeg))).toMatchObject({ status: 200 });
  });

  it('100 Continue only for a request that passed all checks of its head', async () => {
    const { port } = await startGateway();
    const expecting = ['Expect: 100-continue', 'Content-Type: application/json'];
    const refused = await sendRaw(port, [head(...expecting, 'Content-Length: 99999999')]);
    expect(refused.status).toBe(413);
    const json = JSON.stringify({ image: jpeg.toString('base64') });
    const accepted = await sendRaw(port, [
      head(...expecting, `Content-Length: ${json.length}`),
      json,
    ]);
    expect(accepted.status).toBe(200);
  });

  it('the final answer without a 100 Continue for an HTTP/1.0 client', async () => {
    const { port } = await startGateway();
    const socket = connect({ port, host: '127.0.0.1' });
    socket.write(check().replace('HTTP/1.1\r\n', 'HTTP/1.0\r\nExpect: magic\r\n'));
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });
});

describe('unusual but valid HTTP is answered normally', () => {
  it.each([
    ['an absolute target', 'GET http://localhost:1/livez HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    [
      'an Upgrade header',
      'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    ],
  ])('%s', async (_name, request) => {
    const { port } = await startGateway();
    expect(await sendRaw(port, [request])).toMatchObject({ status: 200, body: { status: 'ok' } });
  });
});

describe('broken HTTP on a connection with an earlier request', () => {
  it('gets its own answer after the request was answered', async () => {
    const { port } = await startGateway();
    const client = connectRaw(port);
    client.send(check());
    const first = await client.next();
    client.send('NONSENSE\r\n\r\n');
    const second = await client.next();
    expect([first?.status, second?.status]).toEqual([200, 400]);
    expect(second?.body).toMatchObject({
      ...errorBody(400, 'bad_request'),
      request_id: idOf(second),
    });
    expect(idOf(second)).not.toBe(idOf(first));
    expect(await client.next()).toBeUndefined();
  });

  it.each([
    ['NONSENSE\r\n\r\n', 400, 'bad_request'],
    [head(multipart, 'Transfer-Encoding: chunked') + 'what\r\n', 400, 'bad_request'],
    ['CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', 405, 'method_not_allowed'],
  ])(
    'gets its own answer after that of a check that is still awaited: %j',
    async (broken, status, code) => {
      const { port, queue, finish } = await startGateway({ outcome: 'never' });
      const client = connectRaw(port);
      client.send(check() + broken);
      await expect.poll(() => queue.jobs.size).toBe(1);
      const [id = ''] = queue.jobs.keys();
      await finish(id, { result: exampleResult });
      const first = await client.next();
      expect(first).toMatchObject({ status: 200, body: exampleBody });
      expect(idOf(first)).toBe(id);
      const second = await client.next();
      expect(second).toMatchObject({ status, body: errorBody(status, code) });
      expect(idOf(second)).not.toBe(id);
      expect(await client.next()).toBeUndefined();
    },
  );

  it.each([
    ['413', head(multipart, 'Content-Length: 99999999'), 413],
    [
      '401',
      `POST ${path} HTTP/1.1\r\nHost: a\r\n${multipart}\r\nContent-Length: 99\r\n\r\n${part}`,
      401,
    ],
  ])(
    'gets no second answer if the request got a %s before its body was cut off',
    async (...row) => {
      const [, request, status] = row;
      const { port } = await startGateway();
      const client = connectRaw(port);
      client.send(request);
      expect(await client.next()).toMatchObject({ status });
      client.hangUp();
      expect(await client.next()).toBeUndefined();
    },
  );
});

describe('pipelined requests', () => {
  const livez = 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n';

  it('beyond the limit of one connection are refused, and the others are answered', async () => {
    const { port, queue, finish } = await startGateway({ outcome: 'never' });
    const client = connectRaw(port);
    client.send(check() + livez.repeat(MAX_UNANSWERED + 5));
    await expect.poll(() => queue.jobs.size).toBe(1);
    const [id = ''] = queue.jobs.keys();
    await finish(id, { result: exampleResult });
    expect(await client.next()).toMatchObject({ status: 200, body: exampleBody });
    for (let n = 1; n < MAX_UNANSWERED; n++) expect((await client.next())?.status).toBe(200);
    const refused = await client.next();
    expect(refused).toMatchObject({ status: 429, body: errorBody(429, 'rate_limited') });
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await client.next()).toBeUndefined();
  });

  it('that are answered one after another have no limit', async () => {
    const { port } = await startGateway();
    const client = connectRaw(port);
    for (let n = 0; n < 3 * MAX_UNANSWERED; n++) {
      client.send(livez);
      expect((await client.next())?.status).toBe(200);
    }
    client.destroy();
  });
});
