import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CheckResult, Quality } from '@livegate/core/domain';
import { exampleBody, exampleQuality, exampleResult } from '@livegate/testing';
import { LogLevel, setLogLevel, Vision } from '@glair/vision';
import { describe, expect, it, onTestFinished } from 'vitest';
import { developmentCredential } from '../../apps/api/src/credentials/credential-book.js';
import { errorBody } from '@livegate/testing/gateway/error-body';
import { defaultAuth, formOf, post } from '@livegate/testing/gateway/caller';
import { type GatewayTestOptions, startGateway } from '@livegate/testing/gateway/gateway';
import { greySquare } from '@livegate/testing/images/photos';

const { jpeg } = await greySquare();

const good = exampleQuality;
const weak: Quality = { ...good, codes: ['face_too_close', 'image_too_blurry'] };
/** As the API shows `weak`. */
const shownWeak = {
  codes: weak.codes,
  face: weak.face,
  measures: {
    inside: 0.9,
    margin: 0.8,
    face_pixels: 237,
    offset: 0.03,
    lightest: 154,
    white: 0,
    blur: 0.0137,
    turn: -0.1,
    rotation: 0,
  },
};
const hint = 'move a little further away';

const withQuality = (quality: Quality): CheckResult => ({ ...exampleResult, quality });
const ended = (quality: Quality) => ({ outcome: { result: withQuality(quality) } });
const policy = (name: string) => ({ 'Livegate-Quality': name });
const credentialWith = (quality: 'header' | 'report' | 'enforce') => ({
  credentials: [{ ...developmentCredential, quality }],
});

/** One check of this outcome. */
async function check(options: GatewayTestOptions, headers: Record<string, string> = {}) {
  const { url } = await startGateway(options);
  const answer = await post(url, formOf(jpeg), headers);
  return { ...answer, named: answer.response.headers.get('livegate-quality') };
}

async function read(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers: { ...defaultAuth, ...headers } });
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, body, named: response.headers.get('livegate-quality') };
}

describe('the answer about a weak image', () => {
  it('names its codes in a header and leaves the GLAIR body as it is', async () => {
    const { status, body, named } = await check(ended(weak));
    expect({ status, body }).toEqual({ status: 200, body: exampleBody });
    expect(named).toBe('face_too_close, image_too_blurry');
  });

  it('has the quality in the body for a caller that asks for a report', async () => {
    const { status, body, named } = await check(ended(weak), policy('report'));
    expect(status).toBe(200);
    const { result, ...rest } = exampleBody;
    expect(body).toEqual({ ...rest, result: { ...result, quality: shownWeak } });
    expect(named).toBe('face_too_close, image_too_blurry');
  });

  it('says in a report where the judged picture was cut out of the image', async () => {
    const content = { x: 0.5, y: 0.5, width: 0.7, height: 0.8, tilt: 20 };
    const { body } = await check(ended({ ...weak, content }), policy('report'));
    expect(body).toMatchObject({ result: { quality: { ...shownWeak, content } } });
  });

  it('is a 400 with the first code and its hint for a caller that enforces', async () => {
    const { status, body, named } = await check(ended(weak), policy('enforce'));
    expect(status).toBe(400);
    expect(body).toEqual({ ...errorBody(400, 'face_too_close'), error_message: hint });
    expect(named).toBe('face_too_close, image_too_blurry');
  });

  it.each(['Enforce', ' enforce '])(
    'takes the policy in any case and spacing: %j',
    async (name) => {
      expect(await check(ended(weak), policy(name))).toMatchObject({ status: 400 });
    },
  );
});

describe('the answer about a good image', () => {
  it.each(['header', 'enforce'])('is the GLAIR body without a header: %s', async (name) => {
    const { status, body, named } = await check(ended(good), policy(name));
    expect({ status, body, named }).toEqual({ status: 200, body: exampleBody, named: null });
  });

  it('has an empty list of codes in a report', async () => {
    const { body, named } = await check(ended(good), policy('report'));
    expect(body).toMatchObject({ result: { quality: { codes: [] } } });
    expect(named).toBeNull();
  });
});

describe('an answer without quality', () => {
  const options: [string, GatewayTestOptions][] = [
    ['a result of an earlier version', { outcome: { result: exampleResult } }],
    [
      'an image without a face',
      { outcome: { result: { ...exampleResult, verdict: { kind: 'no_face' } } } },
    ],
  ];
  it.each(options)('stays as it is under every policy: %s', async (_name, option) => {
    const plain = await check(option);
    for (const name of ['report', 'enforce']) {
      const { status, body, named } = await check(option, policy(name));
      expect({ status, body, named }).toEqual({ status: 200, body: plain.body, named: null });
    }
  });
});

it('the GLAIR SDK throws the code and the hint of a weak image if its credential enforces', async () => {
  const { url } = await startGateway({ ...ended(weak), ...credentialWith('enforce') });
  setLogLevel(LogLevel.SILENT);
  const folder = await mkdtemp(join(tmpdir(), 'livegate-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const image = join(folder, 'selfie.jpg');
  await writeFile(image, jpeg);
  const answer = new Vision({ baseUrl: url }).faceBio.passiveLiveness({ image });
  await expect(answer).rejects.toMatchObject({
    status: 'failed',
    error_code: 'face_too_close',
    error_message: hint,
  });
});

describe('the policy', () => {
  it.each(['', 'enfroce', 'report, enforce', 'none'])(
    'is refused before the image is read if it is unknown: %j',
    async (name) => {
      const { url, queue } = await startGateway(ended(good));
      const { status, body } = await post(url, formOf(jpeg), policy(name));
      expect(status).toBe(400);
      expect(body).toEqual(errorBody(400, 'invalid_quality_policy'));
      expect(queue.jobs.size).toBe(0);
    },
  );

  it.each([
    ['report', undefined, 'report'],
    ['enforce', undefined, 'enforce'],
    ['header', 'enforce', 'enforce'],
    ['report', 'enforce', 'enforce'],
    ['report', 'header', 'report'],
    ['enforce', 'header', 'enforce'],
    ['enforce', 'report', 'enforce'],
  ] as const)('of a credential is %s, of a request %s: %s applies', async (own, asked, applied) => {
    const options = { ...ended(weak), ...credentialWith(own) };
    const { status, body } = await check(options, asked && policy(asked));
    const answers = {
      report: { status: 200, body: { result: { quality: shownWeak } } },
      enforce: { status: 400, body: { error_code: 'face_too_close' } },
    };
    expect({ status, body }).toMatchObject(answers[applied]);
  });

  it('is a small fact of the job, and absent if it is the default', async () => {
    const { url, queue } = await startGateway(ended(good));
    await post(url, formOf(jpeg));
    await post(url, formOf(jpeg), policy('enforce'));
    expect([...queue.jobs.values()].map(({ qualityPolicy }) => qualityPolicy)).toEqual([
      undefined,
      'enforce',
    ]);
  });
});

describe('an async check', () => {
  /** A check that was submitted with these headers, and has ended. */
  async function submit(headers: Record<string, string>, quality = weak) {
    const gateway = await startGateway({ outcome: 'never' });
    const { body } = await post(gateway.url, formOf(jpeg), { Prefer: 'respond-async', ...headers });
    const { id, links } = body as { id: string; links: { self: string } };
    await gateway.finish(id, { result: withQuality(quality) });
    return { ...gateway, id, self: links.self };
  }

  it('has succeeded, with the codes in the header, without a policy', async () => {
    const { self } = await submit({});
    const { status, body, named } = await read(self);
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'succeeded', result: exampleBody });
    expect(named).toBe('face_too_close, image_too_blurry');
  });

  it('keeps the policy of its request: report', async () => {
    const { self } = await submit(policy('report'));
    const { body } = await read(self);
    expect(body).toMatchObject({ status: 'succeeded', result: { result: { quality: shownWeak } } });
  });

  it('keeps the policy of its request: enforce, so that a weak image fails it', async () => {
    const { self } = await submit(policy('enforce'));
    const { status, body, named } = await read(self, policy('header'));
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: 'failed',
      error: { error_code: 'face_too_close', error_message: hint },
    });
    expect(body).not.toHaveProperty('result');
    expect(named).toBe('face_too_close, image_too_blurry');
  });

  it('has succeeded under enforce if its image is good', async () => {
    const { self } = await submit(policy('enforce'), good);
    expect((await read(self)).body).toMatchObject({ status: 'succeeded', result: exampleBody });
  });

  it('is shown under the policy of its reader if that is stronger', async () => {
    const { self } = await submit({});
    const { body } = await read(self, policy('enforce'));
    expect(body).toMatchObject({ status: 'failed', error: { error_code: 'face_too_close' } });
    expect((await read(self)).body).toMatchObject({ status: 'succeeded' });
    expect(await read(self, policy('x'))).toMatchObject({ status: 400 });
  });

  it('stays canceled under enforce', async () => {
    const { url } = await startGateway({ outcome: 'never' });
    const headers = { Prefer: 'respond-async', ...policy('enforce') };
    const { body } = await post(url, formOf(jpeg), headers);
    const { links } = body as { links: { self: string; cancel: string } };
    await fetch(links.cancel, { method: 'POST', headers: defaultAuth });
    expect((await read(links.self)).body).toMatchObject({
      status: 'canceled',
      error: { error_code: 'canceled' },
    });
  });
});

describe('requests with one idempotency key', () => {
  it('share the check, and each gets the answer by its own policy', async () => {
    const { url, queue } = await startGateway(ended(weak));
    const key = { 'Idempotency-Key': 'order-4711' };
    const send = (headers = {}) => post(url, formOf(jpeg), { ...key, ...headers });
    const first = await send();
    expect(first).toMatchObject({ status: 200, body: exampleBody });
    expect(await send(policy('report'))).toMatchObject({
      status: 200,
      body: { result: { quality: shownWeak } },
    });
    expect(await send(policy('enforce'))).toMatchObject({
      status: 400,
      body: { error_code: 'face_too_close' },
    });
    expect(await send({ ...policy('enforce'), Prefer: 'respond-async' })).toMatchObject({
      status: 202,
      body: { status: 'failed', error: { error_code: 'face_too_close' } },
    });
    expect(await send()).toMatchObject({ status: 200, body: exampleBody });
    expect(queue.jobs.size).toBe(1);
  });

  it('leave the job with the policy of the request that made it', async () => {
    const { url } = await startGateway(ended(weak));
    const key = { 'Idempotency-Key': 'order-4711', Prefer: 'respond-async' };
    await post(url, formOf(jpeg), key);
    const { body } = await post(url, formOf(jpeg), { ...key, ...policy('enforce') });
    const { self } = (body as { links: { self: string } }).links;
    expect((await read(self)).body).toMatchObject({ status: 'succeeded' });
    expect((await read(self, policy('enforce'))).body).toMatchObject({ status: 'failed' });
  });
});
