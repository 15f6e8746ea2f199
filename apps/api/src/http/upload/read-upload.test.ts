import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { deflateSync, gzipSync } from 'node:zlib';
import { createLeases, LivegateError } from '@livegate/core/domain';
import { sendRaw } from '@livegate/testing/gateway/raw-http';
import { serve } from '@livegate/testing/gateway/serve';
import express, { type Request, type Response } from 'express';
import { describe, expect, it } from 'vitest';
import type { Upload } from './read-body.js';
import { createReadUpload, declaredBytes, uploadBytes } from './read-upload.js';

const limits = { maxImageBytes: 1000, maxImagePixels: 1e6 };
/** With 64 KiB for what surrounds the image. */
const LONGEST_FORM = 1000 + 65_536;
const LONGEST_JSON = 1336 + 65_536;
const multipart = { 'content-type': 'multipart/form-data; boundary=x' };
const json = { 'content-type': 'application/json' };
const image = Buffer.from([0xff, 0xd8, 0, 0x0d, 0x0a, 0x80]);
const imagePart = part('name="image"; filename="a.jpg"', image);

function part(disposition: string, content: string | Buffer): Buffer {
  const head = `--x\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.from(content), Buffer.from('\r\n')]);
}

const form = (...parts: Buffer[]) => Buffer.concat([...parts, Buffer.from('--x--\r\n')]);
const jsonOf = (content: Buffer) => JSON.stringify({ image: content.toString('base64') });

/** What reading an upload ends with. */
interface Answer {
  image?: string;
  fields?: Record<string, string>;
  code?: string;
  message?: string;
  detail?: string;
  name?: string;
}

type Body = string | Buffer;

/** A server on loopback that reads uploads. */
async function startReader() {
  const leases = createLeases();
  const answers: Answer[] = [];
  const readUpload = createReadUpload(limits, leases);
  const answer = async (req: Request, res: Response) => {
    const read = await readUpload(req, res).then(describeUpload, describeError);
    answers.push(read);
    return read;
  };
  const app = express().post('/', (req, res, next) => {
    answer(req, res).then((read) => res.json(read), next);
  });
  const port = await serve(app);
  const url = `http://127.0.0.1:${port}`;
  const open = (headers: Record<string, string | number>) =>
    request(url, { method: 'POST', headers, agent: false });
  const send = async (body: Body | null, headers: Record<string, string>): Promise<Answer> => {
    const response = await fetch(url, { method: 'POST', headers, body: body as string | null });
    return (await response.json()) as Answer;
  };
  /** Without a Content-Length. */
  const sendChunked = async (chunks: Body[], headers: Record<string, string>): Promise<Answer> => {
    const sent = open(headers);
    sent.on('error', () => undefined);
    for (const chunk of chunks) sent.write(chunk);
    sent.end();
    const [response] = (await once(sent, 'response')) as [NodeJS.ReadableStream];
    return JSON.parse(await text(response)) as Answer;
  };
  const parsers = () => leases.held().parser;
  return { port, send, sendChunked, open, answers, parsers };
}

function describeUpload({ image: bytes, fields }: Upload): Answer {
  return { image: Buffer.from(bytes).toString('base64'), fields };
}

function describeError(error: unknown): Answer {
  if (!(error instanceof LivegateError)) return { name: (error as Error).name };
  const { code, publicMessage: message, detail } = error;
  return { code, message, ...(detail !== undefined && { detail }) };
}

const found = { image: image.toString('base64'), fields: {} };

describe('an upload in multipart', () => {
  it.each<[string, Buffer]>([
    ['with a filename', form(imagePart)],
    ['without a filename', form(part('name="image"', image))],
    [
      'after another part that is long',
      form(part('name="x"; filename="y"', longText()), imagePart),
    ],
    ['before another part', form(imagePart, part('name="x"', 'y'))],
  ])('has the bytes of its part "image": %s', async (_name, body) => {
    const { send, parsers } = await startReader();
    expect(await send(body, multipart)).toEqual(found);
    expect(parsers()).toBe(0);
  });

  it('has the last text of each field that the route reads', async () => {
    const { send } = await startReader();
    const fields = [
      part('name="webhook_url"', 'first'),
      part('name="other"', 'ignored'),
      part('name="webhook_url"', 'last'),
      part('name="webhook_url"', ''),
    ];
    expect(await send(form(...fields, imagePart), multipart)).toEqual({
      ...found,
      fields: { webhook_url: 'last' },
    });
  });

  it('has at most one character of a field more than a URL may have', async () => {
    const { send } = await startReader();
    const url = part('name="webhook_url"', 'a'.repeat(5000));
    const { fields } = await send(form(url, imagePart), multipart);
    expect(fields!['webhook_url']).toBe('a'.repeat(2049));
  });

  it.each<[string, string, Buffer, Record<string, string>]>([
    ['missing_image', 'without the part', form(part('name="photo"', image)), multipart],
    ['too_many_images', 'with two of them', form(imagePart, imagePart), multipart],
    ['empty_image', 'of no bytes', form(part('name="image"', '')), multipart],
    ['image_too_large', 'of a byte too much', form(part('name="image"', zeros(1001))), multipart],
    ['invalid_multipart', 'without an end', imagePart, multipart],
    [
      'invalid_multipart',
      'no boundary',
      form(imagePart),
      { 'content-type': 'multipart/form-data' },
    ],
    ['invalid_multipart', 'with no gzip', form(imagePart), { ...multipart, ...encoded('gzip') }],
  ])('is refused as %s: %s', async (code, _name, body, headers) => {
    const { send, parsers } = await startReader();
    const answer = await send(body, headers);
    expect(answer).toMatchObject({ code });
    // For the log: what the parser said.
    expect('detail' in answer).toBe(code === 'invalid_multipart');
    expect(parsers()).toBe(0);
  });

  it('may have as many bytes as an image may have', async () => {
    const { send } = await startReader();
    const body = form(part('name="image"', zeros(1000)));
    expect(await send(body, multipart)).toMatchObject({ image: zeros(1000).toString('base64') });
  });

  it('may have 1000 parts, and a refusal of more says so', async () => {
    const { send } = await startReader();
    const parts = (count: number) => Array.from({ length: count }, () => part('name="a"', ''));
    expect(await send(form(...parts(998), imagePart), multipart)).toEqual(found);
    expect(await send(form(...parts(1000), imagePart), multipart)).toMatchObject({
      code: 'invalid_multipart',
      message: 'the request body has more than 1000 parts',
    });
  });
});

describe('an upload in JSON', () => {
  it('has the bytes of its member "image", and its webhook_url', async () => {
    const { send, parsers } = await startReader();
    expect(await send(jsonOf(image), json)).toEqual(found);
    const withUrl = { image: image.toString('base64'), webhook_url: 'https://a.example' };
    expect(await send(JSON.stringify(withUrl), json)).toEqual({
      ...found,
      fields: { webhook_url: 'https://a.example' },
    });
    expect(parsers()).toBe(0);
  });

  const long = `{"image":"","extra":[${'1,'.repeat(33_000)}1]}`;
  it.each<[string, string, string, string?]>([
    ['missing_image', '{}', 'send one image, as a file part or a JSON member named "image"'],
    ['missing_image', '{"image":null}', 'send one image, as a file part or'],
    ['invalid_json', '{"image":"","extra":[…]}', 'more than 65536 characters beside', long],
    ['invalid_base64', '{"image":7}', 'enter valid base64 for captured image'],
    ['invalid_base64', '{"image":"***"}', 'enter valid base64 for captured image'],
    ['empty_image', '{"image":""}', 'the image is empty'],
    ['invalid_request', '{"image":"/9j/","webhook_url":7}', 'webhook_url must be a string'],
    ['invalid_json', 'null', 'the request body is not valid JSON'],
    ['invalid_json', '7', 'the request body is not valid JSON'],
    ['invalid_json', '{', 'the request body is not valid JSON'],
  ])('is refused as %s: %s', async (code, title, message, body = title) => {
    const { send, parsers } = await startReader();
    const answer = await send(body, json);
    expect(answer).toMatchObject({ code, message: expect.stringContaining(message) });
    expect(parsers()).toBe(0);
  });

  it('is refused in a charset that is not known, and if it is not in its encoding', async () => {
    const { send } = await startReader();
    const latin = { 'content-type': 'application/json; charset=x-unknown' };
    expect(await send(jsonOf(image), latin)).toMatchObject({
      code: 'unsupported_media_type',
      detail: expect.stringContaining('X-UNKNOWN'),
    });
    expect(await send(jsonOf(image), { ...json, ...encoded('gzip') })).toMatchObject({
      code: 'invalid_json',
      detail: expect.stringContaining('header'),
    });
  });
});

describe('a compressed upload', () => {
  it.each<[string, (body: Body) => Buffer]>([
    ['gzip', (body) => gzipSync(body)],
    ['GZIP', (body) => gzipSync(body)],
    ['deflate', (body) => deflateSync(body)],
    ['identity', (body) => Buffer.from(body)],
    ['', (body) => Buffer.from(body)],
  ])('is read as %j', async (encoding, compress) => {
    const { send } = await startReader();
    const headers = encoded(encoding);
    expect(await send(compress(form(imagePart)), { ...multipart, ...headers })).toEqual(found);
    expect(await send(compress(jsonOf(image)), { ...json, ...headers })).toEqual(found);
  });

  it.each<[string, Buffer, Record<string, string>, number]>([
    ['multipart', form(imagePart), multipart, LONGEST_FORM],
    ['JSON', Buffer.from(jsonOf(zeros(1000))), json, LONGEST_JSON],
  ])('may have the length of the longest one, and no more: %s', async (_name, body, type, most) => {
    const { send, parsers } = await startReader();
    const headers = { ...type, ...encoded('gzip') };
    const padded = (length: number) =>
      gzipSync(Buffer.concat([body, Buffer.alloc(length - body.length, ' ')]));
    expect(await send(padded(most), headers)).toHaveProperty('image');
    expect(await send(padded(most + 1), headers)).toMatchObject({
      code: 'image_too_large',
      message: `the request body has more than ${most} bytes, of which the image may have at most 1000`,
    });
    expect(parsers()).toBe(0);
  });
});

describe('an upload without a length', () => {
  it('is read up to the longest body, and no further', async () => {
    const { sendChunked, parsers } = await startReader();
    expect(await sendChunked([imagePart, '--x--', '\r\n'], multipart)).toEqual(found);
    const most = LONGEST_FORM;
    const rest = most - form(imagePart).length;
    expect(await sendChunked([form(imagePart), zeros(rest)], multipart)).toEqual(found);
    const tooLong = [part('name="x"; filename="y"', zeros(most)), form(imagePart)];
    expect(await sendChunked(tooLong, multipart)).toMatchObject({
      code: 'image_too_large',
      message: `the request body has more than ${most} bytes, of which the image may have at most 1000`,
    });
    expect(parsers()).toBe(0);
  });
});

describe('an upload that its client does not finish', () => {
  it.each([multipart, json])('ends with its connection, and frees its parser: %j', async (type) => {
    const { open, answers, parsers } = await startReader();
    const sent = open({ ...type, 'content-length': 1000 });
    sent.on('error', () => undefined).write('--x\r\n');
    await expect.poll(parsers).toBe(1);
    sent.destroy();
    await expect.poll(() => answers).toMatchObject([{ name: 'AbortError' }]);
    expect(parsers()).toBe(0);
  });

  it('is asked for its body only if it expects that', async () => {
    const { open, parsers } = await startReader();
    const sent = open({ ...multipart, expect: '100-continue', 'content-length': 1000 });
    sent.on('error', () => undefined).flushHeaders();
    await once(sent, 'continue');
    await expect.poll(parsers).toBe(1);
    sent.destroy();
    await expect.poll(parsers).toBe(0);
  });
});

describe('a request', () => {
  it.each([
    ['missing_image', 'without a body', null, {}],
    ['missing_image', 'with an empty body', null, json],
    ['unsupported_media_type', 'of another type', 'a', { 'content-type': 'text/plain' }],
    ['missing_image', 'without a type', Buffer.from('a'), {}],
  ] as const)('is refused as %s: %s', async (code, _name, body, headers) => {
    const { send } = await startReader();
    expect(await send(body, headers)).toMatchObject({ code });
  });
});

it('a request without a body is refused as missing_image', async () => {
  const { port } = await startReader();
  const { body } = await sendRaw(port, [
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\r\n',
  ]);
  expect(body).toMatchObject({ code: 'missing_image' });
});

describe('the memory that an upload can take', () => {
  const requestWith = (headers: Record<string, string>, type: string | false | null): Request =>
    ({ is: () => type, get: (name: string) => headers[name] }) as unknown as Request;
  const bytesOf = (type: 'json' | 'multipart', headers: Record<string, string>) =>
    uploadBytes(requestWith({ 'content-type': type, ...headers }, type), limits);
  const [mostForm, mostJson] = [LONGEST_FORM, LONGEST_JSON];

  it('is its declared length, and for JSON the decoded image as well', () => {
    expect(bytesOf('multipart', { 'content-length': '500' })).toBe(500);
    expect(bytesOf('json', { 'content-length': '500' })).toBe(500 + 375);
  });

  it('is that of the longest body if the length is not known', () => {
    expect(bytesOf('multipart', {})).toBe(mostForm);
    expect(bytesOf('multipart', { 'content-length': '5', ...encoded('gzip') })).toBe(mostForm);
    expect(bytesOf('json', {})).toBe(mostJson + Math.ceil((mostJson * 3) / 4));
    const plain = requestWith({ 'content-length': '5', ...encoded('identity') }, 'json');
    expect(declaredBytes(plain)).toBe(5);
  });

  it('is refused beyond the longest body, with both limits', () => {
    expect(bytesOf('multipart', { 'content-length': `${mostForm}` })).toBe(mostForm);
    const refusal = (most: number) =>
      expect.objectContaining({
        code: 'image_too_large',
        publicMessage: `the request body has more than ${most} bytes, of which the image may have at most 1000`,
      });
    const tooLong = (type: 'json' | 'multipart', most: number) => () =>
      bytesOf(type, { 'content-length': `${most + 1}` });
    expect(tooLong('multipart', mostForm)).toThrow(refusal(mostForm));
    expect(tooLong('json', mostJson)).toThrow(refusal(mostJson));
  });

  it('is refused for a body in an encoding that is not decompressed', () => {
    expect(() => bytesOf('json', encoded('br'))).toThrow(
      expect.objectContaining({
        code: 'unsupported_media_type',
        publicMessage: 'send the body uncompressed, or with Content-Encoding: gzip or deflate',
      }),
    );
  });
});

function zeros(count: number): Buffer {
  return Buffer.alloc(count);
}

function longText(): string {
  return 'a'.repeat(60_000);
}

function encoded(encoding: string): Record<string, string> {
  return { 'content-encoding': encoding };
}
