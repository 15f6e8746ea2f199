import { connect } from 'node:net';
import { exampleBody, exampleResult, exampleWorker } from '@livegate/testing';
import { describe, expect, it } from 'vitest';
import { developmentCredential } from '../../apps/api/src/credentials/credential-book.js';
import { errorBody, uuidV7 } from '@livegate/testing/gateway/error-body';
import { type Body, defaultAuth, formOf, path, post } from '@livegate/testing/gateway/caller';
import { type GatewayTestOptions, startGateway } from '@livegate/testing/gateway/gateway';
import { head, sendRaw } from '@livegate/testing/gateway/raw-http';
import { greySquare } from '@livegate/testing/images/photos';

type Gateway = Awaited<ReturnType<typeof startGateway>>;

const { jpeg, png } = await greySquare();

describe('an answered check', () => {
  it('has the GLAIR body and the headers that explain it', async () => {
    const { url } = await startGateway();
    const { response, status, body } = await post(url, formOf(jpeg));
    expect(status).toBe(200);
    expect(body).toEqual(exampleBody);
    expect(response.headers.get('request-id')).toMatch(uuidV7);
    expect(response.headers.get('livegate-model')).toBe(exampleResult.model);
    expect(response.headers.get('server-timing')).toMatch(
      /^upload;dur=[\d.]+, queue;dur=[\d.]+, decode;dur=6\.5, detect;dur=3\.8, classify;dur=22, total;dur=[\d.]+$/,
    );
  });

  it('queues one job under the Request-Id, with facts and no bytes in it', async () => {
    const { url, queue } = await startGateway();
    const { response } = await post(url, formOf(jpeg));
    const id = response.headers.get('request-id') ?? '';
    expect([...queue.jobs.keys()]).toEqual([id]);
    expect(queue.jobs.get(id)).toEqual({
      version: 1,
      tenant: 'development',
      work: 16,
      ms: 16,
      baseUrl: url,
      replyTo: 'gateway',
      isCallersOnly: true,
      imageBytes: jpeg.length,
    });
  });

  it('stores exactly the uploaded bytes for the worker', async () => {
    const { url, imageStore } = await startGateway({ outcome: 'never', waitLimitMs: 1 });
    const { response } = await post(url, formOf(png));
    const [stored] = await imageStore.get([response.headers.get('request-id') ?? '']);
    expect(Buffer.compare(stored as Uint8Array, png)).toBe(0);
  });

  it('is found at a path with two slashes, as SDKs join it', async () => {
    const { url } = await startGateway();
    expect(await post(`${url}/`, formOf(jpeg))).toMatchObject({ status: 200 });
  });

  it("neither echoes nor logs a caller's x-request-id that could come back changed", async () => {
    const lines: string[] = [];
    const { port } = await startGateway({ onLog: (line) => lines.push(line) });
    const request = head('x-request-id: Auftrag-\u00e4', 'Content-Length: 0');
    const { headers } = await sendRaw(port, [Buffer.from(request, 'latin1')]);
    expect(headers.get('x-request-id')).toBeUndefined();
    await expect.poll(() => lines.length).toBeGreaterThan(0);
    expect(lines.join('')).not.toContain('callerRequestId');
  });

  it("echoes the caller's x-request-id and never uses it as an id", async () => {
    const { url } = await startGateway();
    const { response } = await post(url, formOf(jpeg), { 'x-request-id': 'mine' });
    expect(response.headers.get('x-request-id')).toBe('mine');
    expect(response.headers.get('request-id')).toMatch(uuidV7);
  });
});

describe('POST /face/v1/passive-liveness refuses', () => {
  it.each<[string, () => Body, number, string]>([
    ['no image part', () => formOf(), 400, 'missing_image'],
    ['two images', () => formOf(jpeg, png), 400, 'too_many_images'],
    ['an empty image', () => formOf(new Uint8Array()), 400, 'empty_image'],
    ['text', () => formOf(Buffer.from('hello')), 400, 'invalid_image'],
    ['a JPEG cut inside its header', () => formOf(jpeg.subarray(0, 30)), 400, 'invalid_image'],
    ['a GIF', () => formOf(Buffer.from('GIF89a\x01\x00\x01\x00')), 415, 'unsupported_image_type'],
  ])('%s', async (_name, body, status, code) => {
    const { url, queue } = await startGateway();
    expect(await post(url, body())).toMatchObject({ status, body: errorBody(status, code) });
    expect(queue.jobs.size).toBe(0);
  });

  it('with the error messages of the GLAIR API', async () => {
    const { url } = await startGateway({ outcome: { error: 'internal_error' } });
    const json = { 'content-type': 'application/json' };
    expect(await post(url, formOf(Buffer.from('x')))).toMatchObject({
      body: { error_message: 'enter valid format image for captured image' },
    });
    expect(await post(url, '{"image":"*"}', json)).toMatchObject({
      body: { error_message: 'enter valid base64 for captured image' },
    });
    expect(await post(url, formOf(jpeg))).toMatchObject({
      body: { error_message: 'internal server error' },
    });
  });

  it('an image with too many pixels', async () => {
    const { url } = await startGateway({ limits: { maxImageBytes: 1e6, maxImagePixels: 64 * 63 } });
    expect(await post(url, formOf(png))).toMatchObject({
      status: 400,
      body: errorBody(400, 'image_dimensions_exceeded'),
    });
  });

  it('an image that the worker refuses', async () => {
    const { url } = await startGateway({ outcome: { error: 'invalid_image' } });
    expect(await post(url, formOf(jpeg))).toMatchObject({
      status: 400,
      body: errorBody(400, 'invalid_image'),
    });
  });

  it('an image that the worker refuses, with the message of the worker', async () => {
    const message = 'the image takes too long';
    const { url } = await startGateway({ outcome: { error: 'invalid_image', message } });
    expect(await post(url, formOf(jpeg))).toMatchObject({
      status: 400,
      body: { error_code: 'invalid_image', error_message: message },
    });
  });
});

describe('authentication', () => {
  it.each([
    ['no credentials', { Authorization: '', 'x-api-key': '' }],
    ['a wrong x-api-key', { 'x-api-key': 'wrong' }],
    ['no Basic', { Authorization: '' }],
  ])('answers 401 to %s', async (_name, headers) => {
    const { url } = await startGateway();
    const { response, status, body } = await post(url, formOf(jpeg), headers);
    expect(status).toBe(401);
    expect(body).toEqual(errorBody(401, 'unauthorized'));
    expect(response.headers.get('www-authenticate')).toMatch(/^Basic/);
  });

  it('answers 403 to valid credentials without the permission', async () => {
    const { url } = await startGateway({
      credentials: [{ ...developmentCredential, permissions: [] }],
    });
    const { status, body } = await post(url, formOf(jpeg));
    expect(status).toBe(403);
    expect(body).toEqual(errorBody(403, 'forbidden'));
  });

  it('answers 429 with Retry-After to a tenant over its rate', async () => {
    const { url } = await startGateway({
      credentials: [{ ...developmentCredential, rate_limit_per_minute: 1 }],
    });
    expect(await post(url, formOf(jpeg))).toMatchObject({ status: 200 });
    const { response, status, body } = await post(url, formOf(jpeg));
    expect(status).toBe(429);
    expect(body).toMatchObject(errorBody(429, 'rate_limited'));
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});

describe('when a check cannot be answered', () => {
  it.each<[string, Parameters<typeof startGateway>[0], string]>([
    ['no worker is alive', { workers: [] }, 'unavailable'],
    ['the queue is full', { maxWaiting: 0 }, 'overloaded'],
  ])('503 with Retry-After if %s', async (_name, options, code) => {
    const { url } = await startGateway(options);
    const { response, status, body } = await post(url, formOf(jpeg));
    expect(status).toBe(503);
    expect(body).toMatchObject(errorBody(503, code));
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('503 with Retry-After if Redis goes down between two polls', async () => {
    const { url, outage } = await startGateway();
    outage.away = true;
    const { response, status, body } = await post(url, formOf(jpeg));
    expect(status).toBe(503);
    expect(body).toMatchObject(errorBody(503, 'unavailable'));
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('504 with the Location of the check, which goes on, if the wait runs out', async () => {
    const { url, queue } = await startGateway({ outcome: 'never', waitLimitMs: 20 });
    const { response, status, body } = await post(url, formOf(jpeg));
    const id = response.headers.get('request-id') ?? '';
    expect(status).toBe(504);
    expect(body).toMatchObject(errorBody(504, 'timeout'));
    expect(response.headers.get('location')).toBe(`${url}/v1/jobs/${id}`);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(queue.jobs.has(id)).toBe(true);
  });

  it('500 without any detail after an internal error', async () => {
    const lines: string[] = [];
    const { url, queue } = await startGateway({ onLog: (line) => lines.push(line) });
    queue.add = async () => {
      throw new Error('secret detail');
    };
    const { status, body } = await post(url, formOf(jpeg));
    expect(status).toBe(500);
    expect(body).toMatchObject(errorBody(500, 'internal_error'));
    expect(JSON.stringify(body)).not.toContain('secret');
    expect(lines.join('')).toContain('secret detail');
  });

  it('deletes the stored image if its job cannot be queued', async () => {
    const { url, queue, imageStore } = await startGateway();
    queue.add = async () => {
      throw new Error('no');
    };
    const { response } = await post(url, formOf(jpeg));
    expect(await imageStore.get([response.headers.get('request-id') ?? ''])).toEqual([undefined]);
  });

  it('reads the outcome from the queue if the reply was lost', async () => {
    const { url, queue } = await startGateway({ outcome: 'never', waitLimitMs: 20 });
    const add = queue.add;
    queue.add = async (id, job) => {
      await add(id, job);
      queue.finish(id, { result: exampleResult });
    };
    expect(await post(url, formOf(jpeg))).toMatchObject({
      status: 200,
      body: exampleBody,
    });
  });
});

describe('paths and methods', () => {
  it.each([
    ['GET', '/nothing', 404, 'not_found'],
    ['GET', '/pages/none.css', 404, 'not_found'],
    ['GET', '/docs/none.js', 404, 'not_found'],
    ['POST', '/face/v2/passive-liveness', 404, 'not_found'],
    ['GET', path, 405, 'method_not_allowed'],
    ['DELETE', '/livez', 405, 'method_not_allowed'],
  ])('%s %s: %i', async (method, at, status, code) => {
    const { url } = await startGateway();
    const response = await fetch(url + at, { method });
    expect(response.status).toBe(status);
    expect(response.headers.get('request-id')).toMatch(uuidV7);
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(await response.json()).toMatchObject(errorBody(status, code));
  });

  it('lists the methods of a path in Allow', async () => {
    const { url } = await startGateway();
    expect((await fetch(url + path)).headers.get('allow')).toBe('POST');
  });

  it('/livez is 200 without workers, and /readyz is 503 with the reason', async () => {
    const { url } = await startGateway({ workers: [] });
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    const ready = await fetch(`${url}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toEqual({ status: 'unavailable', problem: 'no worker is alive' });
  });

  it('/readyz is 200 once a worker is alive', async () => {
    const { url } = await startGateway();
    const ready = await fetch(`${url}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toEqual({ status: 'ok', workers: 1 });
  });

  it('/v1/models lists each set of models once, with thresholds, without credentials', async () => {
    const twin = { ...exampleWorker, id: 'worker-2' };
    const calibration = {
      id: '4f0c2b1a',
      method: 'platt' as const,
      data: { name: 'ours' },
      figures: { ece: 0.1 },
    };
    const upgraded = {
      ...exampleWorker,
      id: 'worker-3',
      profile: 'accurate',
      cutPoints: { moderate: 0.3, high: 0.6 },
      calibration,
    };
    const { url } = await startGateway({ workers: [exampleWorker, twin, upgraded] });
    const response = await fetch(`${url}/v1/models`);
    expect(response.status).toBe(200);
    const body = (await response.json()) as { model_sets: unknown[] };
    expect(body.model_sets).toHaveLength(2);
    expect(body.model_sets[0]).toEqual({
      livegate_model: exampleResult.model,
      thresholds: { moderate: 0.4, high: 0.7 },
      execution_provider: 'cpu',
      models: exampleWorker.models,
    });
    expect(body.model_sets[1]).toMatchObject({ profile: 'accurate', calibration });
  });

  it('/v1/models lists a canary, which answers checks too', async () => {
    const [detector, classifier] = exampleWorker.models;
    const canary = {
      models: [detector!, { ...classifier!, version: '0.0.2' }],
      cutPoints: { moderate: 0.2, high: 0.5 },
    };
    const { url } = await startGateway({
      workers: [
        { ...exampleWorker, canary },
        { ...exampleWorker, id: 'worker-2', canary },
      ],
    });
    const response = await fetch(`${url}/v1/models`);
    expect(await response.json()).toMatchObject({
      model_sets: [
        { livegate_model: exampleResult.model, thresholds: { high: 0.7 } },
        {
          livegate_model: 'fr-detect/0.0.1+01234567, fr-liveness/0.0.2+89abcdef',
          thresholds: { moderate: 0.2, high: 0.5 },
          execution_provider: 'cpu',
        },
      ],
    });
  });

  it('/ is the playground where it is on, with a strict policy, and nothing elsewhere', async () => {
    const [on, off] = [await startGateway({ playground: true }), await startGateway()];
    const { headers, status } = await fetch(`${on.url}/`);
    expect({ status, type: headers.get('content-type') }).toEqual({
      status: 200,
      type: 'text/html; charset=utf-8',
    });
    expect(headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; script-src 'self';/,
    );
    expect(headers.get('permissions-policy')).toBe('camera=(self)');
    const nothing = await fetch(`${off.url}/`);
    expect(await nothing.json()).toEqual(errorBody(404, 'not_found'));
  });

  it('/v1/models is 503 while no worker is alive', async () => {
    const { url } = await startGateway({ workers: [] });
    expect((await fetch(`${url}/v1/models`)).status).toBe(503);
  });
});

describe("the gateway's log", () => {
  it('has one line per request without secrets, headers, query or score', async () => {
    const lines: string[] = [];
    const { url } = await startGateway({ onLog: (line) => lines.push(line) });
    const response = await fetch(`${url}${path}?token=query-secret`, {
      method: 'POST',
      headers: { ...defaultAuth, 'x-request-id': 'callers-own' },
      body: formOf(jpeg),
    });
    await response.json();
    await expect.poll(() => lines).toHaveLength(1);
    expect(lines[0]?.match(/"requestId"/g)).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 30,
      callerRequestId: 'callers-own',
      tenant: 'development',
      outcome: 'verdict',
      req: { method: 'POST', path },
      res: { statusCode: 200 },
    });
    for (const secret of [
      'default-password',
      'default-api-key',
      'Basic',
      'query-secret',
      '0.02611',
    ]) {
      expect(lines[0]).not.toContain(secret);
    }
  });

  /** The log line of one request. */
  async function lineOf(options: GatewayTestOptions, ask: (gateway: Gateway) => Promise<unknown>) {
    const lines: string[] = [];
    await ask(await startGateway({ ...options, onLog: (line) => lines.push(line) }));
    await expect.poll(() => lines).toHaveLength(1);
    return JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  }

  const waitZero = { Prefer: 'wait=0' };
  it.each<[string, GatewayTestOptions, Record<string, string>, string]>([
    ['a wait that the caller limited', { outcome: 'never' }, waitZero, 'timeout'],
    ['a refused image', { outcome: { error: 'invalid_image' } }, {}, 'invalid_image'],
    ['a canceled check', { outcome: { error: 'canceled' } }, {}, 'canceled'],
    ['wrong credentials', {}, { 'x-api-key': 'wrong' }, 'unauthorized'],
  ])('records %s at level info, without an error', async (_, options, headers, outcome) => {
    const line = await lineOf(options, ({ url }) => post(url, formOf(jpeg), headers));
    expect(line).toMatchObject({ level: 30, outcome, msg: 'request completed' });
    expect(line).not.toHaveProperty('err');
  });

  it('records a caller who hangs up at level info, without a status', async () => {
    const line = await lineOf({ outcome: 'never' }, async ({ port, queue }) => {
      const json = JSON.stringify({ image: jpeg.toString('base64') });
      const caller = connect(port, '127.0.0.1').on('error', () => undefined);
      caller.write(head('Content-Type: application/json', `Content-Length: ${json.length}`) + json);
      await expect.poll(() => queue.jobs.size).toBe(1);
      caller.resetAndDestroy();
    });
    expect(line).toMatchObject({ level: 30, msg: 'request aborted', res: { statusCode: null } });
    expect(line).not.toHaveProperty('err');
  });

  const waitLonger = { Prefer: 'wait=60' };
  it.each<[string, GatewayTestOptions, Record<string, string>, string]>([
    ['a wait that ran out', { outcome: 'never', waitLimitMs: 20 }, {}, 'timeout'],
    [
      'a wait that the server limited',
      { outcome: 'never', waitLimitMs: 20 },
      waitLonger,
      'timeout',
    ],
    ['an internal error', { outcome: { error: 'internal_error' } }, {}, 'internal_error'],
  ])(
    'records %s at level error, with the type of its error',
    async (_, options, headers, outcome) => {
      const line = await lineOf(options, ({ url }) => post(url, formOf(jpeg), headers));
      const err = { type: 'LivegateError' };
      expect(line).toMatchObject({ level: 50, outcome, msg: 'request failed', err });
    },
  );

  it('records refusals of a second in one warning, with their number and the reason', async () => {
    const line = await lineOf({ maxWaiting: 0 }, async ({ url }) => {
      for (let i = 0; i < 3; i++)
        expect(await post(url, formOf(jpeg))).toMatchObject({ status: 503 });
    });
    expect(line).toMatchObject({
      level: 40,
      outcome: 'overloaded',
      msg: 'requests refused',
      refused: 1,
      reason: '0 of 0 checks wait, 0 of them of this tenant',
    });
    expect(line).not.toHaveProperty('err');
  });
});
