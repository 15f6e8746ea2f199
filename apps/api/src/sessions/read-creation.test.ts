import type { LivegateError } from '@livegate/core/domain';
import { describeError, serve } from '@livegate/testing/gateway/serve';
import express from 'express';
import { describe, expect, it } from 'vitest';
import { parseCreation, readCreationBody } from './read-creation.js';

/** What a creation with this body is read as, or why it is refused. */
async function read(body: RequestInit['body'], headers: Record<string, string> = {}) {
  const app = express().post('/', readCreationBody, (req, res) => {
    res.json(parseCreation(req));
  });
  const port = await serve(app.use(describeError));
  const init = { method: 'POST', headers, ...(body !== undefined && { body, duplex: 'half' }) };
  const response = await fetch(`http://127.0.0.1:${port}`, init as RequestInit);
  return (await response.json()) as Record<string, unknown> & Partial<LivegateError>;
}

function formOf(fields: Record<string, string>): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return form;
}

const success_url = 'https://shop.example/done?a=1#b';
const defaults = { max_tries: 3, ttl_seconds: 86_400, tell_user: false };
const json = { 'content-type': 'application/json' };
const postman = { 'content-type': 'multipart/form-data; boundary=postman' };

describe('a creation without a success_url', () => {
  it.each<[string, string | FormData | undefined, Record<string, string>]>([
    ['is an empty form, as GLAIR’s Postman collection sends it', '--postman--\r\n', postman],
    ['is a form without a body', '', postman],
    ['is a form with only a nameless field', formOf({ '': '' }), {}],
    ['has no body at all', undefined, {}],
    ['has an empty body of any type', '', { 'content-type': 'text/plain' }],
  ])('%s', async (_name, body, headers) => {
    expect(await read(body, headers)).toEqual(defaults);
  });

  it.each<[string, string | FormData, Record<string, string>]>([
    ['is refused in JSON', '{}', json],
    ['is refused in an empty JSON body', '', json],
    ['is refused in a form with other fields', formOf({ max_tries: '2' }), {}],
  ])('%s', async (_name, body, headers) => {
    expect(await read(body, headers)).toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(/^success_url: /),
    });
  });
});

describe('a creation in a form', () => {
  it('has numbers and booleans as text', async () => {
    const fields = { success_url, max_tries: '2', ttl_seconds: '60', tell_user: 'true' };
    const texts = { reference: '4711', locale: 'true' };
    expect(await read(formOf({ ...fields, ...texts }))).toEqual({
      ...texts,
      success_url,
      max_tries: 2,
      ttl_seconds: 60,
      tell_user: true,
    });
    const silent = await read(formOf({ success_url, tell_user: 'false' }));
    expect(silent).toEqual({ ...defaults, success_url });
  });

  it.each([
    ['max_tries', '2x'],
    ['max_tries', 'x2'],
    ['ttl_seconds', '6e1'],
    ['tell_user', 'truex'],
    ['tell_user', 'xfalse'],
    ['success_url', 'javascript:alert(1)'],
  ])('is refused if it is malformed: %s %s', async (name, value) => {
    expect(await read(formOf({ success_url, [name]: value }))).toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(new RegExp(`^${name}: `)),
    });
  });

  it('may have fields without a name, which are ignored', async () => {
    expect(await read(formOf({ '': 'x', success_url }))).toEqual({ ...defaults, success_url });
  });

  it('is refused if it is not one', async () => {
    const withoutBoundary = { 'content-type': 'multipart/form-data' };
    for (const headers of [postman, withoutBoundary, { ...postman, 'content-encoding': 'x' }]) {
      expect(await read('nothing', headers)).toMatchObject({
        code: 'invalid_multipart',
        cause: expect.any(String),
      });
    }
  });

  it('may have 16 KiB, and no more', async () => {
    const frame =
      '--postman\r\ncontent-disposition: form-data; name="x"\r\n\r\n\r\n--postman--\r\n';
    const body = (length: number) =>
      frame.replace('\r\n\r\n', `\r\n\r\n${'a'.repeat(length - frame.length)}`);
    const longest = await read(body(16 * 1024), postman);
    expect(longest).toMatchObject({ message: expect.stringMatching(/^success_url: /) });
    expect(await read(body(16 * 1024 + 1), postman)).toEqual({
      code: 'invalid_request',
      message: 'the request body has more than 16384 bytes',
      cause: 'request entity too large',
    });
  });
});

describe('a creation in JSON', () => {
  it('is read as it is', async () => {
    const text = JSON.stringify({ success_url, max_tries: 1, tell_user: true });
    const creation = { ...defaults, success_url, max_tries: 1, tell_user: true };
    expect(await read(text, json)).toEqual(creation);
    expect(await read(new Blob([text]).stream(), json)).toEqual(creation);
  });

  it.each<[string, string]>([
    ['invalid_json', '{'],
    ['invalid_request', '{"success_url":"https://a.example","max_tries":"2"}'],
  ])('is refused with %s: %s', async (code, body) => {
    expect(await read(body, json)).toMatchObject({ code });
  });
});

it('a body of another type is refused, also a streamed one, whose fields would be lost', async () => {
  const form = `success_url=${success_url}`;
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  for (const body of [form, new Blob([form]).stream()]) {
    expect(await read(body, headers)).toMatchObject({ code: 'unsupported_media_type' });
  }
});
