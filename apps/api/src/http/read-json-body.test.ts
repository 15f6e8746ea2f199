import { gzipSync } from 'node:zlib';
import type { LivegateError } from '@livegate/core/domain';
import { describeError, serve } from '@livegate/testing/gateway/serve';
import express from 'express';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseBody, readJsonBody } from './read-json-body.js';

const schema = z.strictObject({ a: z.int().optional(), list: z.array(z.string()).optional() });

type Body = string | Uint8Array<ArrayBuffer> | ReadableStream;

/** What a management request with this body is read as, or why it is refused. */
async function read(body: Body | undefined, headers: Record<string, string> = {}) {
  const app = express().post('/', readJsonBody, (req, res) => {
    res.json({ read: parseBody(req, schema) });
  });
  const port = await serve(app.use(describeError));
  const response = await fetch(`http://127.0.0.1:${port}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body, duplex: 'half' }),
  } as RequestInit);
  return (await response.json()) as { read?: unknown } & Partial<LivegateError>;
}

describe('a JSON body', () => {
  it('is read, also compressed and in UTF-16', async () => {
    const text = '{"a":1}';
    expect(await read(text)).toEqual({ read: { a: 1 } });
    const gzip = { 'content-encoding': 'gzip' };
    expect(await read(gzipSync(text), gzip)).toEqual({ read: { a: 1 } });
    const utf16 = { 'content-type': 'application/json; charset=utf-16le' };
    expect(await read(Buffer.from(text, 'utf16le'), utf16)).toEqual({ read: { a: 1 } });
  });

  it('may be absent, whatever its declared type', async () => {
    expect(await read(undefined)).toEqual({ read: {} });
    expect(await read('', { 'content-type': 'text/plain' })).toEqual({ read: {} });
  });

  it('may have 16 KiB, and no more', async () => {
    const text = '{}'.padEnd(16 * 1024);
    expect(await read(text)).toEqual({ read: {} });
    expect(await read(`${text} `)).toEqual({
      code: 'invalid_request',
      message: 'the request body has more than 16384 bytes',
      cause: 'request entity too large',
    });
  });

  it.each<[string, Body, Record<string, string>]>([
    ['another type', 'a=1', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['a stream of another type', new Blob(['a=1']).stream(), { 'content-type': 'text/plain' }],
    ['an unknown charset', '{}', { 'content-type': 'application/json; charset=latin1' }],
    ['an unknown encoding', '{}', { 'content-encoding': 'x' }],
  ])('is refused in %s', async (_name, body, headers) => {
    expect(await read(body, headers)).toMatchObject({
      code: 'unsupported_media_type',
      message: 'send application/json',
    });
  });

  it.each<[string, Body, Record<string, string>]>([
    ['{', '{', {}],
    ['a text', '"a"', {}],
    ['a body that is not compressed', '{}', { 'content-encoding': 'gzip' }],
  ])('is refused if it is not valid: %s', async (_name, body, headers) => {
    const refused = await read(body, headers);
    expect(refused).toMatchObject({ code: 'invalid_json', cause: expect.stringMatching(/./) });
  });

  it('that does not fit is refused with every problem and its place', async () => {
    expect(await read('{"a":"x","list":["y",1],"b":2}')).toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(/^a: [^;]+; list: 1: [^;]+; Unrecognized key: "b"$/),
    });
    expect(await read('[]')).toMatchObject({ code: 'invalid_request' });
  });
});
