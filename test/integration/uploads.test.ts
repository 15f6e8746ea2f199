import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createLeases } from '@livegate/core/domain';
import express, { type Request, type Response } from 'express';
import { describe, expect, it, onTestFinished } from 'vitest';
import { developmentCredential } from '../../apps/api/src/credentials/credential-book.js';
import { createReadUpload } from '../../apps/api/src/http/upload/read-upload.js';
import { errorBody } from '@livegate/testing/gateway/error-body';
import { type Body, formOf, post } from '@livegate/testing/gateway/caller';
import { startGateway } from '@livegate/testing/gateway/gateway';
import { connectRaw, head, sendRaw } from '@livegate/testing/gateway/raw-http';
import { greySquare } from '@livegate/testing/images/photos';

const json = { 'content-type': 'application/json' };

const { jpeg } = await greySquare();

describe('a large part that is not an image', () => {
  it.each([
    ['without a header', ''],
    ['without a Content-Disposition', 'Content-Type: image/png\r\n'],
    ['that is an attachment', 'Content-Disposition: attachment; name="image"\r\n'],
    ['without a name', 'Content-Disposition: form-data\r\n'],
    ['of another name', 'Content-Disposition: form-data; name="x"; filename="y"\r\n'],
  ])('%s is skipped', async (_what, partHead) => {
    const { port } = await startGateway();
    const body = Buffer.concat([
      Buffer.from(`--x\r\n${partHead}\r\n`),
      Buffer.alloc(1_000_000, 'a'),
      Buffer.from('\r\n--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n'),
      jpeg,
      Buffer.from('\r\n--x--\r\n'),
    ]);
    const type = 'Content-Type: multipart/form-data; boundary=x';
    const answer = await sendRaw(port, [head(type, `Content-Length: ${body.length}`), body]);
    expect(answer).toMatchObject({ status: 200 });
  });
});

describe('an image in JSON', () => {
  it.each([
    ['{"image":"***"}', 400, 'invalid_base64'],
    ['{"image":"abcde"}', 400, 'invalid_base64'],
    ['{"image":7}', 400, 'invalid_base64'],
    ['{"image":""}', 400, 'empty_image'],
    ['{"image":null}', 400, 'missing_image'],
    ['{}', 400, 'missing_image'],
    ['[]', 400, 'missing_image'],
    ['{"image":', 400, 'invalid_json'],
    ['"just a string"', 400, 'invalid_json'],
    ['7', 400, 'invalid_json'],
    ['null', 400, 'invalid_json'],
    ['', 400, 'missing_image'],
    ['{"image":"/9j=a"}', 400, 'invalid_base64'],
    ['{"image":"/9j/===="}', 400, 'invalid_base64'],
    ['{"image":"/9j/","webhook_url":7}', 400, 'invalid_request'],
    ['{"image":"/9j/","webhook_url":{"toString":1}}', 400, 'invalid_request'],
  ])('%s is answered with %i %s', async (body, status, code) => {
    const { url } = await startGateway();
    const answer = await post(url, body, json);
    expect(answer).toMatchObject({ status, body: errorBody(status, code) });
  });

  it.each([
    ['members', `"extra":[${'1,'.repeat(35_000)}1]`],
    ['brackets', `"extra":${'['.repeat(35_000)}${']'.repeat(35_000)}`],
    ['short strings', `"extra":["${'a","'.repeat(20_000)}"]`],
    ['white space', ' '.repeat(70_000) + '"extra":1'],
  ])(
    'is refused with more than 64 KiB of %s, which would be slow to parse',
    async (_name, extra) => {
      const { url } = await startGateway();
      const body = `{"image":"${jpeg.toString('base64')}",${extra}}`;
      expect(await post(url, body, json)).toMatchObject({
        status: 400,
        body: errorBody(400, 'invalid_json'),
      });
    },
  );

  it.each([
    ['application/json', 400, 'missing_image'],
    ['multipart/form-data; boundary=x', 400, 'missing_image'],
  ])('%s without a body is answered with %i %s', async (type, status, code) => {
    const { port } = await startGateway();
    const answer = await sendRaw(port, [head(`Content-Type: ${type}`)]);
    expect(answer).toMatchObject({ status, body: errorBody(status, code) });
  });
});

describe('an image in multipart', () => {
  it.each([
    'multipart/form-data; boundary=',
    'multipart/form-data;;;=;boundary',
    'multipart/form-data; boundary=\u00e9',
    'multipart/form-data; boundary="',
  ])('is refused in a body of type %s', async (type) => {
    const { port } = await startGateway();
    const request = head(`Content-Type: ${type}`, 'Content-Length: 4');
    const answer = await sendRaw(port, [Buffer.from(request, 'latin1'), '--\r\n']);
    expect(answer).toMatchObject({ status: 400, body: errorBody(400, 'invalid_multipart') });
  });
});

describe('an upload is refused', () => {
  it('if the image has too many bytes, in multipart and in JSON', async () => {
    const { url } = await startGateway({ limits: { maxImageBytes: 1000, maxImagePixels: 1e6 } });
    const large = new Uint8Array(200_000);
    const expected = { status: 413, body: errorBody(413, 'image_too_large') };
    expect(await post(url, formOf(large))).toMatchObject(expected);
    // Within the envelope's allowance, so that only the image itself is too large.
    expect(await post(url, formOf(large.subarray(0, 1001)))).toMatchObject(expected);
    for (const size of [200_000, 1001]) {
      const image = Buffer.from(large.subarray(0, size)).toString('base64');
      expect(await post(url, JSON.stringify({ image }), json)).toMatchObject(expected);
    }
    expect(await post(url, formOf(jpeg))).toMatchObject({ status: 200 });
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'image/jpeg'])(
    'if its type is %s',
    async (type) => {
      const { url } = await startGateway();
      const answer = await post(url, Uint8Array.from(jpeg), { 'content-type': type });
      expect(answer).toMatchObject({ status: 415, body: errorBody(415, 'unsupported_media_type') });
    },
  );

  it('if it has no body', async () => {
    const { url } = await startGateway();
    expect(await post(url, null)).toMatchObject({
      status: 400,
      body: errorBody(400, 'missing_image'),
    });
  });
});

describe('a request whose upload was read', () => {
  // Node exposes the garbage collector only with this flag.
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;

  it.each<[string, () => Body, Record<string, string>]>([
    ['multipart', () => formOf(new Uint8Array(1e6)), {}],
    ['JSON', () => JSON.stringify({ image: Buffer.alloc(1e6).toString('base64') }), json],
  ])(
    'does not keep the image in memory while its caller waits: %s',
    async (_name, body, headers) => {
      const readUpload = createReadUpload(
        { maxImageBytes: 1e6, maxImagePixels: 1 },
        createLeases(),
      );
      let kept: Request | undefined;
      let bytes: WeakRef<ArrayBufferLike> | undefined;

      async function readAndForget(req: Request, res: Response) {
        const { image } = await readUpload(req, res);
        kept = req;
        bytes = new WeakRef(image.buffer);
      }
      const app = express().post('/', (req, res, next) => {
        readAndForget(req, res).then(() => res.json({}), next);
      });
      const server = app.listen(0, '127.0.0.1');
      onTestFinished(() => void server.close());
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      await fetch(`http://127.0.0.1:${port}`, { method: 'POST', body: body(), headers });
      // `deref` keeps its target alive until the end of the current turn of the event loop.
      const isGone = () => {
        collectGarbage();
        return bytes?.deref() === undefined;
      };
      await expect.poll(isGone).toBe(true);
      expect(kept?.body).toBeUndefined();
    },
  );
});

it('a tenant with many open uploads leaves memory for the uploads of another tenant', async () => {
  const other = { ...developmentCredential, tenant: 'other', username: 'other' };
  const Authorization = `Basic ${Buffer.from('other:default-password').toString('base64')}`;
  const gateway = await startGateway({
    credentials: [developmentCredential, other],
    maxUploadBytesInFlight: 1_000_000,
  });
  const open = head('Content-Type: multipart/form-data; boundary=x', 'Content-Length: 100000');
  const idle = Array.from({ length: 5 }, () => connectRaw(gateway.port));
  onTestFinished(() => idle.forEach(({ destroy }) => destroy()));
  for (const client of idle) client.send(open);
  await expect.poll(() => gateway.uploads.bytesInFlight).toBe(500_000);
  const refused = await sendRaw(gateway.port, [open]);
  expect(refused).toMatchObject({ status: 503, body: errorBody(503, 'overloaded') });
  expect(await post(gateway.url, formOf(jpeg), { Authorization })).toMatchObject({ status: 200 });
});
