import { createHash } from 'node:crypto';
import { JOB_VERSION } from '@livegate/core/domain';
import { exampleBody, exampleResult } from '@livegate/testing';
import sharp from 'sharp';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { developmentCredential } from '../../apps/api/src/credentials/credential-book.js';
import { errorBody } from '@livegate/testing/gateway/error-body';
import { defaultAuth, formOf, post } from '@livegate/testing/gateway/caller';
import { startGateway } from '@livegate/testing/gateway/gateway';

const respondAsync = { Prefer: 'respond-async' };
const other = { ...developmentCredential, tenant: 'other', username: 'other' };
const otherAuth = { ...defaultAuth, Authorization: `Basic ${btoa('other:default-password')}` };

let image: Buffer;
let anotherImage: Buffer;

beforeAll(async () => {
  const draw = (background: string) =>
    sharp({ create: { width: 8, height: 8, channels: 3, background } })
      .jpeg()
      .toBuffer();
  [image, anotherImage] = await Promise.all([draw('grey'), draw('red')]);
});

interface Job {
  id: string;
  status: string;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  result?: unknown;
  error?: { error_code: string };
  links: { self: string; cancel?: string };
}

async function ask(url: string, init: RequestInit = {}) {
  const response = await fetch(url, { headers: defaultAuth, ...init });
  return { response, status: response.status, body: (await response.json()) as Job };
}

/** A gateway with one queued check. */
async function startWithJob() {
  const gateway = await startGateway({
    outcome: 'never',
    credentials: [developmentCredential, other],
  });
  const { response, body } = await post(gateway.url, formOf(image), respondAsync);
  return { ...gateway, response, job: body as Job, self: (body as Job).links.self };
}

describe('Prefer', () => {
  it('respond-async: 202 at once with the job and its Location', async () => {
    const { url, response, job } = await startWithJob();
    expect(response.status).toBe(202);
    expect(response.headers.get('preference-applied')).toBe('respond-async');
    expect(response.headers.get('location')).toBe(`${url}/v1/jobs/${job.id}`);
    expect(response.headers.get('request-id')).toBe(job.id);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(job).toEqual({
      id: job.id,
      status: 'queued',
      created_at: expect.stringMatching(/^\d{4}-.*Z$/),
      started_at: null,
      finished_at: null,
      links: { self: `${url}/v1/jobs/${job.id}`, cancel: `${url}/v1/jobs/${job.id}/cancel` },
    });
  });

  it('respond-async, wait=n: 200 with the verdict if the check ends in time', async () => {
    const { url } = await startGateway();
    const prefer = { Prefer: 'respond-async, wait=5' };
    const { response, status, body } = await post(url, formOf(image), prefer);
    expect(status).toBe(200);
    expect(body).toEqual(exampleBody);
    expect(response.headers.get('preference-applied')).toBe('respond-async, wait=5');
  });

  it('respond-async, wait=n: 202 if the check does not end in time', async () => {
    const { url } = await startGateway({ outcome: 'never', waitLimitMs: 20 });
    const prefer = { Prefer: 'respond-async, wait=5' };
    expect(await post(url, formOf(image), prefer)).toMatchObject({
      status: 202,
      body: { status: 'queued' },
    });
  });

  it('wait=n alone: 504 when the wait runs out, and the job can be read', async () => {
    const { url } = await startGateway({ outcome: 'never' });
    const { response, status, body } = await post(url, formOf(image), { Prefer: 'wait=0' });
    expect(status).toBe(504);
    expect(body).toMatchObject({ error_code: 'timeout' });
    expect(response.headers.get('preference-applied')).toBe('wait=0');
    const job = await ask(response.headers.get('location') ?? '');
    expect(job).toMatchObject({ status: 200, body: { status: 'queued' } });
  });

  it('a caller without Prefer never gets a 202', async () => {
    const { url } = await startGateway({ outcome: 'never', waitLimitMs: 5 });
    expect(await post(url, formOf(image))).toMatchObject({ status: 504 });
  });

  it('respond-async: 503 at half of the places, and a waiting caller still finds one', async () => {
    const { url } = await startGateway({ outcome: 'never', maxWaiting: 10, waitLimitMs: 5 });
    const submit = () => post(url, formOf(image), respondAsync);
    for (let accepted = 0; accepted < 5; accepted++) expect((await submit()).status).toBe(202);
    expect(await submit()).toMatchObject({ status: 503, body: { error_code: 'overloaded' } });
    expect((await post(url, formOf(image))).status).toBe(504);
  });

  it('respond-async: 400 at once for an invalid image', async () => {
    const { url } = await startGateway();
    expect(await post(url, formOf(Buffer.from('x')), respondAsync)).toMatchObject({
      status: 400,
      body: { error_code: 'invalid_image' },
    });
  });

  it('links begin with the configured public URL', async () => {
    const { url } = await startGateway({ publicUrl: 'https://liveness.example.com' });
    const { response } = await post(url, formOf(image), respondAsync);
    expect(response.headers.get('location')).toMatch(
      /^https:\/\/liveness\.example\.com\/v1\/jobs\//,
    );
  });
});

describe('GET /v1/jobs/{id}', () => {
  it('200 with the verdict of a succeeded job', async () => {
    const { self, job, finish } = await startWithJob();
    await finish(job.id, { result: exampleResult });
    const { response, body } = await ask(self);
    expect(body).toMatchObject({
      id: job.id,
      status: 'succeeded',
      started_at: expect.any(String),
      finished_at: expect.any(String),
      result: exampleBody,
      links: { self },
    });
    expect(body.links.cancel).toBeUndefined();
    expect(response.headers.get('retry-after')).toBeNull();
  });

  it('200 with the error of a failed job', async () => {
    const { self, job, finish } = await startWithJob();
    await finish(job.id, { error: 'invalid_image' });
    const { body } = await ask(self);
    expect(body).toMatchObject({ status: 'failed', error: { error_code: 'invalid_image' } });
    expect(body.result).toBeUndefined();
  });

  it('200 with the message of the worker that refused the image', async () => {
    const { self, job, finish } = await startWithJob();
    await finish(job.id, { error: 'invalid_image', message: 'the image takes too long' });
    const { body } = await ask(self);
    expect(body.error).toEqual({
      error_code: 'invalid_image',
      error_message: 'the image takes too long',
    });
  });

  it('200 with status processing and Retry-After while the job runs', async () => {
    const { self, job, queue } = await startWithJob();
    queue.begin(job.id);
    const { response, body } = await ask(self);
    expect(body).toMatchObject({ status: 'processing', started_at: expect.any(String) });
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('with Prefer: wait=n is held until the job ends, and released at once', async () => {
    const { self, job, finish, queue, reads } = await startWithJob();
    reads.count = 0;
    const polls = Array.from({ length: 3 }, () =>
      ask(self, { headers: { ...defaultAuth, Prefer: 'wait=5' } }),
    );
    queue.begin(job.id);
    // Finish only after all three have attached, so that the wait itself is tested.
    await expect.poll(() => reads.count, { timeout: 4000 }).toBeGreaterThanOrEqual(6);
    await finish(job.id, { result: exampleResult });
    for (const poll of await Promise.all(polls)) {
      expect(poll.body.status).toBe('succeeded');
      expect(poll.response.headers.get('preference-applied')).toBe('wait=5');
    }
  });

  it('with Prefer: wait=n shows the unfinished job when the wait runs out', async () => {
    const { self } = await startWithJob();
    const { body } = await ask(self, { headers: { ...defaultAuth, Prefer: 'wait=0' } });
    expect(body.status).toBe('queued');
  });

  it.each([
    ['an unknown id', '01a20646-d25e-75f1-a585-724f3d4efa40'],
    ['a malformed id', 'nonsense'],
    ['an id with odd characters', '%7Blivegate%7D'],
  ])('404 for %s', async (_name, id) => {
    const { url } = await startWithJob();
    expect(await ask(`${url}/v1/jobs/${id}`)).toMatchObject({
      status: 404,
      body: { error_code: 'not_found' },
    });
  });

  it('404 for another tenant, with the same body as for an unknown id', async () => {
    const { url, self } = await startWithJob();
    const foreign = await ask(self, { headers: otherAuth });
    const unknown = await ask(`${url}/v1/jobs/01a20646-d25e-75f1-a585-724f3d4efa40`);
    expect(foreign.status).toBe(404);
    expect({ ...foreign.body, request_id: '' }).toEqual({ ...unknown.body, request_id: '' });
  });

  it('401 without credentials, 403 without the permission, 405 for other methods', async () => {
    const { self } = await startWithJob();
    const anonymous = await ask(self, { headers: {} });
    expect(anonymous).toMatchObject({ status: 401, body: errorBody(401, 'unauthorized') });
    expect(await ask(self, { method: 'PUT' })).toMatchObject({ status: 405 });
    const { url } = await startGateway({ credentials: [{ ...other, permissions: [] }] });
    const forbidden = await ask(`${url}/v1/jobs/x`, { headers: otherAuth });
    expect(forbidden).toMatchObject({ status: 403, body: errorBody(403, 'forbidden') });
  });

  it('503 while Redis is down', async () => {
    const { self, outage } = await startWithJob();
    outage.away = true;
    expect(await ask(self)).toMatchObject({ status: 503, body: { error_code: 'unavailable' } });
  });
});

describe('POST /v1/jobs/{id}/cancel', () => {
  const cancel = { method: 'POST' };

  it('200: a queued job is canceled at once', async () => {
    const { self, job, queue } = await startWithJob();
    const { response, status, body } = await ask(`${self}/cancel`, cancel);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: job.id, status: 'canceled' });
    expect(response.headers.get('retry-after')).toBeNull();
    expect(await queue.find([job.id])).toEqual(new Map([[job.id, 'canceled']]));
  });

  it.each(['queued', 'running'])('deletes the image of a %s job at once', async (state) => {
    const { self, job, queue, imageStore } = await startWithJob();
    if (state === 'running') queue.begin(job.id);
    expect(await imageStore.get([job.id])).not.toEqual([undefined]);
    await ask(`${self}/cancel`, cancel);
    expect(await imageStore.get([job.id])).toEqual([undefined]);
  });

  it('200: a running job is marked, and canceled when it ends', async () => {
    const { self, job, queue, finish } = await startWithJob();
    queue.begin(job.id);
    expect(await ask(`${self}/cancel`, cancel)).toMatchObject({
      status: 200,
      body: { status: 'processing' },
    });
    await finish(job.id, { result: exampleResult });
    const { body } = await ask(self);
    expect(body).toMatchObject({ status: 'canceled', error: { error_code: 'canceled' } });
    expect(body.result).toBeUndefined();
  });

  it('409: a finished job', async () => {
    const { self, job, finish } = await startWithJob();
    await finish(job.id, { result: exampleResult });
    expect(await ask(`${self}/cancel`, cancel)).toMatchObject({
      status: 409,
      body: { error_code: 'already_finished' },
    });
  });

  it('409: a job that ends at the same moment', async () => {
    const { self, job, queue, finish } = await startWithJob();
    const cancelThen = queue.cancel;
    queue.cancel = async (id) => {
      await finish(job.id, { result: exampleResult });
      return cancelThen(id);
    };
    expect(await ask(`${self}/cancel`, cancel)).toMatchObject({ status: 409 });
  });

  it('404: an unknown job, and another tenant’s', async () => {
    const { url, self } = await startWithJob();
    expect(await ask(`${url}/v1/jobs/x/cancel`, cancel)).toMatchObject({ status: 404 });
    expect(await ask(`${self}/cancel`, { ...cancel, headers: otherAuth })).toMatchObject({
      status: 404,
    });
  });

  it('405: GET', async () => {
    const { self } = await startWithJob();
    expect(await ask(`${self}/cancel`)).toMatchObject({ status: 405 });
  });

  it('409 canceled for the caller who waits for the job', async () => {
    const gateway = await startGateway({ outcome: 'never' });
    const answer = post(gateway.url, formOf(image));
    await expect.poll(() => gateway.queue.jobs.size).toBe(1);
    const [id = ''] = gateway.queue.jobs.keys();
    await ask(`${gateway.url}/v1/jobs/${id}/cancel`, cancel);
    await gateway.finish(id, { error: 'canceled' });
    expect(await answer).toMatchObject({ status: 409, body: { error_code: 'canceled' } });
  });
});

describe('DELETE /v1/jobs/{id}', () => {
  const deletion = { method: 'DELETE' };

  it('200: the result of a finished job is deleted', async () => {
    const { self, job, finish } = await startWithJob();
    await finish(job.id, { result: exampleResult });
    const { status, body } = await ask(self, deletion);
    expect(status).toBe(200);
    expect(body).toEqual({ id: job.id, deleted: true });
    expect(await ask(self)).toMatchObject({ status: 404 });
  });

  it('200: a queued job never runs, and its image is deleted', async () => {
    const { self, job, queue, imageStore } = await startWithJob();
    expect(await ask(self, deletion)).toMatchObject({ status: 200 });
    expect(await ask(self)).toMatchObject({ status: 404 });
    expect(await queue.countWaiting()).toBe(0);
    expect(await imageStore.get([job.id])).toEqual([undefined]);
  });

  it('200: a running job can no longer be read', async () => {
    const { self, job, queue, finish } = await startWithJob();
    queue.begin(job.id);
    expect(await ask(self, deletion)).toMatchObject({ status: 200 });
    expect(await ask(self)).toMatchObject({ status: 404 });
    await finish(job.id, { result: exampleResult });
    expect(await ask(self)).toMatchObject({ status: 404 });
  });

  it('at the next read of the queue, a waiting caller gets 409 canceled and a long poll 404', async () => {
    const gateway = await startGateway({ outcome: 'never' });
    const key = { 'Idempotency-Key': 'order-1' };
    const waiting = post(gateway.url, formOf(image), key);
    await expect.poll(() => gateway.queue.jobs.size).toBe(1);
    const [id = ''] = gateway.queue.jobs.keys();
    const self = `${gateway.url}/v1/jobs/${id}`;
    gateway.reads.count = 0;
    const joined = post(gateway.url, formOf(image), key);
    const poll = ask(self, { headers: { ...defaultAuth, Prefer: 'wait=5' } });
    // Three reads before the joined caller waits, two before the long poll does.
    await expect.poll(() => gateway.reads.count).toBeGreaterThanOrEqual(4);
    await ask(self, deletion);
    const canceled = { status: 409, body: { error_code: 'canceled' } };
    expect(await waiting).toMatchObject(canceled);
    expect(await joined).toMatchObject(canceled);
    expect(await poll).toMatchObject({ status: 404, body: { error_code: 'not_found' } });
  });

  it('404: an unknown job, and another tenant’s, which is kept', async () => {
    const { url, self } = await startWithJob();
    expect(await ask(`${url}/v1/jobs/x`, deletion)).toMatchObject({ status: 404 });
    expect(await ask(self, { ...deletion, headers: otherAuth })).toMatchObject({ status: 404 });
    expect(await ask(self)).toMatchObject({ status: 200 });
  });
});

describe('Idempotency-Key', () => {
  const key = { 'Idempotency-Key': 'order-1' };

  it('the same key and image: one job, one answer, one id', async () => {
    const { url, queue } = await startGateway();
    const first = await post(url, formOf(image), key);
    const second = await post(url, formOf(image), key);
    expect(second.body).toEqual(first.body);
    expect(second.response.headers.get('request-id')).toBe(
      first.response.headers.get('request-id'),
    );
    expect(queue.jobs.size).toBe(1);
  });

  it('respond-async: 202 with the job, also once the check of the key has ended', async () => {
    const { url } = await startGateway();
    const first = await post(url, formOf(image), key);
    const { response, body } = await post(url, formOf(image), { ...key, ...respondAsync });
    const id = first.response.headers.get('request-id');
    expect(response.status).toBe(202);
    expect(response.headers.get('location')).toBe(`${url}/v1/jobs/${id}`);
    expect(body).toMatchObject({ id, status: 'succeeded', result: first.body });
  });

  it('simultaneous requests, waiting and async, share the running job', async () => {
    const { url, queue, reads, finish } = await startGateway({ outcome: 'never' });
    const waiting = Array.from({ length: 3 }, () => post(url, formOf(image), key));
    await expect.poll(() => queue.jobs.size).toBe(1);
    const [id = ''] = queue.jobs.keys();
    const accepted = await post(url, formOf(image), { ...key, ...respondAsync });
    expect(accepted).toMatchObject({ status: 202, body: { id } });
    // Two reads by each of the three that joined.
    await expect.poll(() => reads.count).toBeGreaterThanOrEqual(6);
    await finish(id, { result: exampleResult });
    for (const answer of await Promise.all(waiting)) {
      expect(answer).toMatchObject({ status: 200, body: exampleBody });
    }
    expect(queue.jobs.size).toBe(1);
  });

  it('a waiting caller who joins an async check gives it priority', async () => {
    const { url, queue, reads, finish } = await startGateway({ outcome: 'never' });
    await post(url, formOf(image), respondAsync);
    const { body } = await post(url, formOf(image), { ...key, ...respondAsync });
    const { id } = body as Job;
    reads.count = 0;
    const answer = post(url, formOf(image), key);
    await expect.poll(() => reads.count).toBeGreaterThanOrEqual(2);
    expect(queue.takeNext()).toBe(id);
    await finish(id, { result: exampleResult });
    expect(await answer).toMatchObject({ status: 200 });
  });

  it('the same key and another image: 422', async () => {
    const { url, queue } = await startGateway();
    await post(url, formOf(image), key);
    expect(await post(url, formOf(anotherImage), key)).toMatchObject({
      status: 422,
      body: { error_code: 'idempotency_key_reused' },
    });
    expect(queue.jobs.size).toBe(1);
  });

  it('the same key of another tenant is independent', async () => {
    const { url, queue } = await startGateway({ credentials: [developmentCredential, other] });
    await post(url, formOf(image), key);
    expect(await post(url, formOf(anotherImage), { ...key, ...otherAuth })).toMatchObject({
      status: 200,
    });
    expect(queue.jobs.size).toBe(2);
  });

  it.each(['invalid_image', 'internal_error', 'image_expired', 'canceled'] as const)(
    'a check that ended without a verdict (%s) frees its key for any image',
    async (error) => {
      const gateway = await startGateway({ outcome: 'never', waitLimitMs: 20 });
      const { url, queue, finish } = gateway;
      const submit = async (bytes: Buffer) => {
        const { response } = await post(url, formOf(bytes), { ...key, ...respondAsync });
        return response.headers.get('request-id') ?? '';
      };
      const first = await submit(image);
      await finish(first, { error });
      const second = await submit(image);
      await finish(second, { error });
      const third = await submit(anotherImage);
      expect(new Set([first, second, third]).size).toBe(3);
      await finish(third, { result: exampleResult });
      expect(await submit(anotherImage)).toBe(third);
      expect(queue.jobs.size).toBe(3);
    },
  );

  it('an image that the gateway refuses does not use its key', async () => {
    const { url } = await startGateway();
    expect(await post(url, formOf(Buffer.from('x')), key)).toMatchObject({ status: 400 });
    expect(await post(url, formOf(image), key)).toMatchObject({ status: 200 });
  });

  it('of several simultaneous retries after a failure, one is queued and the others join it', async () => {
    const { url, queue, finish } = await startGateway({ outcome: 'never' });
    const first = await post(url, formOf(image), { ...key, ...respondAsync });
    await finish((first.body as Job).id, { error: 'internal_error' });
    const again = () => post(url, formOf(image), { ...key, ...respondAsync });
    const answers = await Promise.all(Array.from({ length: 4 }, again));
    expect(new Set(answers.map(({ body }) => (body as Job).id)).size).toBe(1);
    expect(queue.jobs.size).toBe(2);
  });

  it.each(['queued', 'running', 'finished'])(
    'deleting a %s check frees its key for any image',
    async (state) => {
      const { url, queue, finish } = await startGateway({ outcome: 'never', waitLimitMs: 20 });
      const { body } = await post(url, formOf(image), { ...key, ...respondAsync });
      const { id, links } = body as Job;
      if (state !== 'queued') queue.begin(id);
      if (state === 'finished') await finish(id, { result: exampleResult });
      await ask(links.self, { method: 'DELETE' });
      const retry = await post(url, formOf(anotherImage), { ...key, ...respondAsync });
      expect(retry.status).toBe(202);
      expect((retry.body as Job).id).not.toBe(id);
    },
  );

  it('a request that fails before its job is queued frees its key at once', async () => {
    const { url, queue, imageStore } = await startGateway();
    const add = queue.add;
    queue.add = async () => {
      throw new Error('killed');
    };
    const { response } = await post(url, formOf(image), key);
    const id = response.headers.get('request-id') ?? '';
    await expect.poll(() => imageStore.get([id])).toEqual([undefined]);
    queue.add = add;
    expect(await post(url, formOf(image), key)).toMatchObject({ status: 200 });
    expect(queue.jobs.size).toBe(1);
  });

  it('a key whose gateway died before the job was queued is taken over', async () => {
    const { url, queue, idempotencyKeys } = await startGateway();
    const keySha256 = createHash('sha256').update('order-1').digest('hex');
    const imageSha256 = createHash('sha256').update(image).digest('hex');
    const at = { tenant: developmentCredential.tenant, keySha256 };
    await idempotencyKeys.claim(at, { id: 'dead', imageSha256 });
    expect(await post(url, formOf(image), key)).toMatchObject({ status: 200 });
    expect(queue.jobs.size).toBe(1);
  });

  it('a second request waits for the job of the first and stores no image', async () => {
    const { url, queue, imageStore, finish } = await startGateway({ outcome: 'never' });
    const put = vi.spyOn(imageStore, 'put');
    const add = queue.add;
    let queueIt = () => {};
    const mayQueue = new Promise<void>((resolve) => (queueIt = resolve));
    queue.add = async (...job) => {
      await mayQueue;
      await add(...job);
    };
    const answers = [post(url, formOf(image), key), post(url, formOf(image), key)];
    await expect.poll(() => put.mock.calls.length).toBe(1);
    queueIt();
    await expect.poll(() => queue.jobs.size).toBe(1);
    const [id = ''] = queue.jobs.keys();
    await finish(id, { result: exampleResult });
    for (const { status, response } of await Promise.all(answers)) {
      expect([status, response.headers.get('request-id')]).toEqual([200, id]);
    }
    expect(put).toHaveBeenCalledTimes(1);
    expect(await imageStore.get([id])).toEqual([undefined]);
  });

  it('a request whose key is taken over while its image is stored joins, and deletes the image', async () => {
    const { url, queue, imageStore, idempotencyKeys } = await startGateway();
    const put = imageStore.put;
    const usurper = '01a20646-d25e-75f1-a585-724f3d4efa40';
    let own = '';
    imageStore.put = async (id, bytes) => {
      own = id;
      await put(id, bytes);
      const job = { version: JOB_VERSION, tenant: developmentCredential.tenant, imageBytes: 1 };
      const keySha256 = createHash('sha256').update('order-1').digest('hex');
      const imageSha256 = createHash('sha256').update(image).digest('hex');
      const at = { tenant: job.tenant, keySha256 };
      const claim = { id, imageSha256 };
      await idempotencyKeys.replace(at, claim, { ...claim, id: usurper });
      await queue.add(usurper, job);
    };
    const { response, status } = await post(url, formOf(image), key);
    expect([status, response.headers.get('request-id')]).toEqual([200, usurper]);
    expect(await imageStore.get([own])).toEqual([undefined]);
    expect(queue.jobs.size).toBe(1);
  });

  it.each(['', ' ', 'a b', 'x'.repeat(256), '"ä"'])('an invalid key: 400 (%j)', async (bad) => {
    const { url } = await startGateway();
    const headers = { 'Idempotency-Key': bad };
    expect(await post(url, formOf(image), headers)).toMatchObject({
      status: 400,
      body: { error_code: 'invalid_idempotency_key' },
    });
  });

  it('a quoted and an unquoted key are the same key', async () => {
    const { url, queue } = await startGateway();
    await post(url, formOf(image), key);
    await post(url, formOf(image), { 'Idempotency-Key': '"order-1"' });
    expect(queue.jobs.size).toBe(1);
  });
});
