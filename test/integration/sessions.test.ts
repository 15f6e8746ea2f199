import { request } from 'node:http';
import { json } from 'node:stream/consumers';
import {
  type CheckOutcome,
  type CheckResult,
  LivegateError,
  type Session,
} from '@livegate/core/domain';
import { exampleEndpoint, exampleResult } from '@livegate/testing';
import { errorBody } from '@livegate/testing/gateway/error-body';
import { defaultAuth } from '@livegate/testing/gateway/caller';
import { type GatewayTestOptions, startGateway } from '@livegate/testing/gateway/gateway';
import { connectRaw } from '@livegate/testing/gateway/raw-http';
import { greySquare } from '@livegate/testing/images/photos';
import { describe, expect, it } from 'vitest';
import { developmentCredential } from '../../apps/api/src/credentials/credential-book.js';

const { jpeg, png } = await greySquare();
const collection = '/face/v1/passive-liveness-sessions';
const creation = { success_url: 'https://shop.example/done?a=1#b' };

const scored = (
  spoofProbability: number,
  status: 'LOW' | 'MODERATE' | 'HIGH',
  codes: string[] = [],
) => {
  const result = { ...exampleResult, verdict: { kind: 'scored', spoofProbability, status } };
  return { result: { ...result, quality: { codes } } as unknown as CheckResult };
};
const low = scored(0.02611, 'LOW');
const high = scored(0.99, 'HIGH');
const noFace: CheckOutcome = { result: { ...exampleResult, verdict: { kind: 'no_face' } } };

interface State {
  status: string;
  checking: boolean;
  tries_left: number;
  token: string | null;
  hint: { code: string } | null;
  success_redirect: string | null;
}

type Gateway = Awaited<ReturnType<typeof open>>;

/** A gateway, and a client for its sessions. */
async function open(options: GatewayTestOptions = {}) {
  const gateway = await startGateway(options);

  async function ask(method: string, path: string, init: RequestInit = {}) {
    const response = await fetch(gateway.url + path, { method, ...init });
    return { response, status: response.status, body: (await response.json()) as never };
  }

  async function create(body: object = creation, headers: Record<string, string> = {}) {
    const all = { ...defaultAuth, 'content-type': 'application/json', ...headers };
    const answer = await ask('POST', collection, { headers: all, body: JSON.stringify(body) });
    expect(answer.status).toBe(200);
    return answer.body as { sid: string; url: string; expired: number };
  }

  const readState = async (sid: string) =>
    (await ask('GET', `/sessions/${sid}/state`)).body as State;

  async function sendPhoto(sid: string, fields: Record<string, string> = {}, image = jpeg) {
    const token = fields['token'] ?? (await readState(sid)).token ?? '';
    const body = new FormData();
    const all = { ...honest, ...fields, token };
    for (const [name, value] of Object.entries(all)) if (value) body.set(name, value);
    body.set('image', new Blob([Uint8Array.from(image)]));
    return ask('POST', `/sessions/${sid}/photo`, { body });
  }

  const read = (sid: string, headers: Record<string, string> = {}) =>
    ask('GET', `${collection}/${sid}`, { headers: { ...defaultAuth, ...headers } });

  return { ...gateway, ask, create, readState, sendPhoto, read };
}

/** What the page reports about an honest capture. */
const honest = {
  source: 'camera',
  frame_age_ms: '0',
  frames: '90',
  frame_jitter_ms: '1.4',
  camera: 'physical',
};

describe('the creation of a session', () => {
  it('accepts what the GLAIR SDKs send, and returns a URL that ends with the sid', async () => {
    const before = Date.now();
    const { create, url } = await open();
    const session = await create();
    expect(session).toEqual({
      status: 'PENDING',
      sid: expect.stringMatching(/^[A-Za-z0-9]{32}$/),
      url: `${url}/sessions/${session.sid}`,
      success_url: creation.success_url,
      cancel_url: null,
      expired: expect.any(Number),
      max_tries: 3,
      tries_left: 3,
      reference: null,
      tell_user: false,
      locale: null,
    });
    const day = 24 * 60 * 60 * 1000;
    expect(session.expired).toBeGreaterThanOrEqual(before + day);
    expect(session.expired).toBeLessThanOrEqual(Date.now() + day);
  });

  it('accepts everything that Livegate adds', async () => {
    const { create, read } = await open();
    const more = {
      cancel_url: 'https://shop.example/cart',
      max_tries: 1,
      ttl_seconds: 60,
      reference: '<b>"4711"</b>',
      tell_user: true,
      locale: 'id',
    };
    const { sid, expired } = await create({ ...creation, ...more });
    const { ttl_seconds: _, ...shown } = more;
    expect((await read(sid)).body).toMatchObject({ ...shown, expired, result: null, signals: [] });
    expect(expired).toBeLessThanOrEqual(Date.now() + 60_000);
  });

  const boundary = 'multipart/form-data; boundary=postman';
  it.each<[string, Record<string, string>, string | undefined]>([
    ['an empty multipart form, as GLAIR’s Postman collection sends it', {}, '--postman--\r\n'],
    ['a form without a body', {}, ''],
    ['no body at all', { 'content-type': '' }, undefined],
  ])('accepts %s, without a success_url', async (_name, headers, body) => {
    const { ask, readState, sendPhoto } = await open({ outcome: low });
    const all = { ...defaultAuth, 'content-type': boundary, ...headers };
    if (!all['content-type']) delete (all as Record<string, string>)['content-type'];
    const init = { headers: all, ...(body !== undefined && { body }) };
    const answer = await ask('POST', `/${collection}`, init);
    expect(answer.body).toMatchObject({ status: 'PENDING', success_url: null, cancel_url: null });
    const { sid } = answer.body as { sid: string };
    await sendPhoto(sid);
    expect(await readState(sid)).toMatchObject({ status: 'FINISHED', success_redirect: null });
  });

  it('accepts a filled multipart form', async () => {
    const { ask } = await open();
    const body = new FormData();
    const fields = { ...creation, max_tries: '2', tell_user: 'true', reference: '4711' };
    for (const [name, value] of Object.entries(fields)) body.set(name, value);
    const answer = await ask('POST', collection, { headers: defaultAuth, body });
    expect(answer.body).toMatchObject({
      ...creation,
      max_tries: 2,
      tell_user: true,
      reference: '4711',
    });
  });

  it.each<[string, number, Record<string, string>, string]>([
    ['invalid_request', 400, {}, '{}'],
    ['invalid_json', 400, {}, '{'],
    ['invalid_multipart', 400, { 'content-type': boundary }, 'nothing'],
    ['unsupported_media_type', 415, { 'content-type': 'text/plain' }, 'x'],
  ])('refuses a wrong body with %s', async (code, status, headers, body) => {
    const { ask } = await open();
    const all = { ...defaultAuth, 'content-type': 'application/json', ...headers };
    const answer = await ask('POST', collection, { headers: all, body });
    expect(answer.body).toEqual(errorBody(status, code));
  });

  it('returns a URL with the address by which its tenant reached the gateway', async () => {
    const { create } = await open({ publicUrl: 'https://faces.example/liveness' });
    const { sid, url } = await create();
    expect(url).toBe(`https://faces.example/liveness/sessions/${sid}`);
  });
});

describe('a session is read', () => {
  it('by GET with a form body, as GLAIR’s Postman collection does', async () => {
    const { create, port } = await open();
    const { sid } = await create();
    const body = await new Promise((resolve, reject) => {
      const headers = { ...defaultAuth, 'content-type': 'multipart/form-data; boundary=x' };
      const path = `/${collection}/${sid}`;
      request({ port, method: 'GET', path, headers }, (res) => void json(res).then(resolve))
        .on('error', reject)
        .end('--x\r\nContent-Disposition: form-data; name="sid"\r\n\r\nx\r\n--x--\r\n');
    });
    expect(body).toMatchObject({ status: 'PENDING', sid });
  });

  it('by its own tenant only', async () => {
    const other = { ...developmentCredential, tenant: 'other', username: 'other' };
    const { create, read, ask, readState } = await open({
      credentials: [developmentCredential, other],
    });
    const { sid } = await create();
    const headers = { ...defaultAuth, Authorization: `Basic ${btoa('other:default-password')}` };
    expect((await read(sid, headers)).body).toEqual(errorBody(404, 'not_found'));
    const deletion = await ask('DELETE', `${collection}/${sid}`, { headers });
    expect(deletion.body).toEqual(errorBody(404, 'not_found'));
    expect(await readState(sid)).toMatchObject({ status: 'PENDING' });
  });

  it.each(['unknown', 'a'.repeat(32), `${'a'.repeat(31)}%2e`])(
    'never under the sid %s',
    async (sid) => {
      const { read, ask } = await open();
      expect((await read(sid)).body).toEqual(errorBody(404, 'not_found'));
      for (const [method, path] of [
        ['GET', ''],
        ['GET', '/state'],
        ['POST', '/photo'],
        ['POST', '/cancel'],
      ]) {
        const answer = await ask(method!, `/sessions/${sid}${path}`);
        expect(answer.body).toEqual(errorBody(404, 'not_found'));
      }
    },
  );
});

describe('every route of sessions', () => {
  it.each([
    ['POST', collection],
    ['GET', `${collection}/SID`],
    ['DELETE', `${collection}/SID`],
  ])('%s %s needs credentials with the permission "sessions"', async (method, path) => {
    const permissions = developmentCredential.permissions.filter((name) => name !== 'sessions');
    const restricted = { ...developmentCredential, username: 'restricted', permissions };
    const { create, ask } = await open({ credentials: [developmentCredential, restricted] });
    const { sid } = await create();
    const at = path.replace('SID', sid);
    const { Authorization: _, ...keyOnly } = defaultAuth;
    for (const headers of [{}, keyOnly, { ...defaultAuth, 'x-api-key': 'wrong' }]) {
      expect((await ask(method, at, { headers })).body).toEqual(errorBody(401, 'unauthorized'));
    }
    const headers = {
      ...defaultAuth,
      Authorization: `Basic ${btoa('restricted:default-password')}`,
    };
    expect((await ask(method, at, { headers })).body).toEqual(errorBody(403, 'forbidden'));
  });

  it.each([
    ['GET', ''],
    ['GET', '/state'],
    ['POST', '/cancel'],
    ['POST', '/photo'],
  ])('%s /sessions/{sid}%s needs a sid, and sends no CORS header', async (method, path) => {
    const { create, url } = await open();
    const { sid } = await create({ ...creation, cancel_url: 'https://shop.example/' });
    const headers = { origin: 'https://evil.example' };
    const known = await fetch(`${url}/sessions/${sid}${path}`, { method, headers });
    expect(known.status).not.toBe(404);
    const unknown = await fetch(`${url}/sessions/${'a'.repeat(32)}${path}`, { method, headers });
    expect(unknown.status).toBe(404);
    for (const { headers: sent } of [known, unknown]) {
      expect([...sent.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
    await Promise.all([known.text(), unknown.text()]);
  });
});

describe('a photo', () => {
  it('with the verdict LOW finishes its session, and the page may leave', async () => {
    const { create, sendPhoto, read } = await open({ outcome: low });
    const { sid } = await create();
    const { status, body, response } = await sendPhoto(sid);
    expect(status).toBe(200);
    expect(body).toEqual({
      status: 'FINISHED',
      checking: false,
      tries_left: 0,
      photos_left: 0,
      expired: expect.any(Number),
      hint: null,
      token: null,
      success_redirect: `https://shop.example/done?a=1&sid=${sid}#b`,
      can_cancel: false,
      verdict: null,
      locale: null,
    });
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect((await read(sid)).body).toMatchObject({
      status: 'FINISHED',
      tries_left: 0,
      result: {
        status: 'success',
        result: { spoof_percentage: 0.02611, status: 'LOW', spoof_status: 'LOW' },
      },
      signals: [],
    });
  });

  it('shows its verdict to a person only if the tenant wants it', async () => {
    const { create, sendPhoto } = await open({ outcome: high });
    const { sid } = await create({ ...creation, max_tries: 1, tell_user: true });
    expect((await sendPhoto(sid)).body).toMatchObject({ status: 'FINISHED', verdict: 'HIGH' });
  });

  it('with the verdict HIGH costs a try, and the last try finishes the session', async () => {
    const { create, sendPhoto, read } = await open({ outcome: high });
    const { sid } = await create({ ...creation, max_tries: 2 });
    const first = await sendPhoto(sid);
    expect(first.body).toMatchObject({
      status: 'PENDING',
      tries_left: 1,
      hint: { code: 'try_again' },
      success_redirect: null,
    });
    expect((await read(sid)).body).toMatchObject({
      status: 'PENDING',
      result: null,
      tries_left: 1,
    });
    expect((await sendPhoto(sid)).body).toMatchObject({ status: 'FINISHED' });
    expect((await sendPhoto(sid)).body).toEqual(errorBody(409, 'session_finished'));
    expect((await read(sid)).body).toMatchObject({ result: { result: { spoof_status: 'HIGH' } } });
  });

  it.each<[string, CheckOutcome]>([
    ['face_not_detected', noFace],
    ['face_too_close', scored(0.99, 'HIGH', ['face_too_close'])],
    ['check_failed', { error: 'internal_error' }],
  ])('that is answered with the hint %s costs no try', async (code, outcome) => {
    const { create, sendPhoto, readState } = await open({ outcome });
    const { sid } = await create();
    expect((await sendPhoto(sid)).body).toMatchObject({
      status: 'PENDING',
      tries_left: 3,
      photos_left: 29,
      hint: { code, message: expect.any(String) },
      token: expect.any(String),
    });
    expect(await readState(sid)).toMatchObject({ hint: { code } });
  });

  it('leaves no check, no image and no job: only the session has the score', async () => {
    const { create, sendPhoto, queue, ask, imageStore } = await open({ outcome: low });
    const { sid } = await create();
    const { response } = await sendPhoto(sid);
    const id = response.headers.get('request-id') ?? '';
    expect(queue.jobs.size).toBe(0);
    expect(await imageStore.get([id])).toEqual([undefined]);
    const job = await ask('GET', `/v1/jobs/${id}`, { headers: defaultAuth });
    expect(job.body).toEqual(errorBody(404, 'not_found'));
  });

  it('that is being checked is not shown as a job', async () => {
    const { create, sendPhoto, queue, ask, finish } = await open({ outcome: 'never' });
    const { sid } = await create();
    const answer = sendPhoto(sid);
    await expect.poll(() => queue.jobs.size).toBe(1);
    const [id = ''] = queue.jobs.keys();
    const job = await ask('GET', `/v1/jobs/${id}`, { headers: defaultAuth });
    expect(job.body).toEqual(errorBody(404, 'not_found'));
    await finish(id, low);
    await answer;
  });

  it.each<[string, number, Uint8Array]>([
    ['empty_image', 400, new Uint8Array()],
    ['invalid_image', 400, Uint8Array.of(1, 2, 3)],
    ['unsupported_image_type', 415, Buffer.from('GIF89a')],
  ])('that is refused with %s costs nothing', async (code, status, image) => {
    const { create, sendPhoto, readState } = await open();
    const { sid } = await create();
    const { token } = (await readState(sid)) as { token: string };
    expect((await sendPhoto(sid, { token }, Buffer.from(image))).body).toEqual(
      errorBody(status, code),
    );
    expect(await sendPhoto(sid, { token })).toMatchObject({ status: 200 });
  });
});

describe('two photos at the same time', () => {
  async function settleBoth(gateway: Gateway, sid: string, tokens: string[]) {
    const { sendPhoto, queue, finish } = gateway;
    const answers = tokens.map((token) => sendPhoto(sid, { token }));
    await expect.poll(() => queue.jobs.size).toBe(1);
    const [loser] = [await Promise.race(answers)];
    const [id = ''] = queue.jobs.keys();
    await finish(id, high);
    const all = await Promise.all(answers);
    expect(await gateway.readState(sid)).toMatchObject({ tries_left: 2 });
    expect(all.map(({ status }) => status)).toContain(200);
    return loser.body as { error_code: string };
  }

  it('with one token, by a double click, cost one try: the second is refused', async () => {
    const gateway = await open({ outcome: 'never' });
    const { sid } = await gateway.create();
    const { token } = await gateway.readState(sid);
    const loser = await settleBoth(gateway, sid, [token ?? '', token ?? '']);
    expect(loser.error_code).toBe('session_busy');
    const late = await gateway.sendPhoto(sid, { token: token ?? '' });
    expect(late.body).toEqual(errorBody(403, 'page_token_refused'));
    expect((await gateway.read(sid)).body).toMatchObject({ signals: [] });
  });

  it('from two tabs cost one try: the second waits for the first', async () => {
    const gateway = await open({ outcome: 'never' });
    const { sid } = await gateway.create();
    const tokens = await Promise.all([1, 2].map(async () => (await gateway.readState(sid)).token));
    const loser = await settleBoth(gateway, sid, tokens.map(String));
    expect(loser.error_code).toBe('session_busy');
  });
});

describe('a check that nobody waits for any more', () => {
  it('is settled by the next request for its session, also by its tenant', async () => {
    const { create, sendPhoto, readState, read, queue, finish } = await open({
      outcome: 'never',
      waitLimitMs: 1,
    });
    const { sid } = await create();
    const { body, response } = await sendPhoto(sid);
    expect(body).toMatchObject({ status: 'PENDING', checking: true, token: null });
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await readState(sid)).toMatchObject({ checking: true });
    const [id = ''] = queue.jobs.keys();
    await finish(id, low);
    expect((await read(sid)).body).toMatchObject({ status: 'FINISHED' });
    expect(queue.jobs.size).toBe(0);
  });

  it('is settled although the browser has hung up', async () => {
    const { create, readState, queue, finish, url } = await open({ outcome: 'never' });
    const { sid } = await create();
    const { token } = await readState(sid);
    const body = new FormData();
    body.set('token', token ?? '');
    body.set('image', new Blob([Uint8Array.from(jpeg)]));
    const hangUp = new AbortController();
    const { signal } = hangUp;
    const photo = fetch(`${url}/sessions/${sid}/photo`, { method: 'POST', body, signal });
    await expect.poll(() => queue.jobs.size).toBe(1);
    hangUp.abort();
    await expect(photo).rejects.toThrow('aborted');
    const [id = ''] = queue.jobs.keys();
    await finish(id, low);
    await expect.poll(() => readState(sid)).toMatchObject({ status: 'FINISHED' });
  });

  it('and that was never queued frees its session after 15 s, with its tries', async () => {
    const clock = { now: Date.now() };
    const gateway = await open({ now: () => clock.now });
    const { sid } = await gateway.create();
    const { token } = await gateway.readState(sid);
    // As a gateway leaves it that died right after it had counted the photo.
    await gateway.sessions.update(sid, (latest: Session) => ({
      ...latest,
      photos: 1,
      usedTokens: [token ?? ''],
      running: { checkId: crypto.randomUUID(), startedAt: clock.now, token: token ?? '' },
    }));
    expect(await gateway.readState(sid)).toMatchObject({ checking: true });
    clock.now += 15_001;
    expect(await gateway.readState(sid)).toMatchObject({ checking: false, tries_left: 3 });
  });
});

it('a 503 in the middle costs nothing, and the same photo may be sent again', async () => {
  const gateway = await open({ outcome: low });
  const { sid } = await gateway.create();
  const { token } = await gateway.readState(sid);
  const add = gateway.queue.add.bind(gateway.queue);
  gateway.queue.add = async () => {
    throw new LivegateError('unavailable');
  };
  expect((await gateway.sendPhoto(sid, { token: token ?? '' })).status).toBe(503);
  gateway.queue.add = add;
  const again = await gateway.sendPhoto(sid, { token: token ?? '' });
  expect(again.body).toMatchObject({ status: 'FINISHED' });
});

describe('signals', () => {
  it.each<[string, Record<string, string>]>([
    ['file_upload', { source: 'file' }],
    ['no_capture_facts', { source: '' }],
    ['stale_frame', { frame_age_ms: '999999' }],
    ['virtual_camera', { camera: 'virtual' }],
    ['steady_frames', { frame_jitter_ms: '0' }],
  ])('have %s for a photo with %j', async (signal, fields) => {
    const { create, sendPhoto, read } = await open({ outcome: low });
    const { sid } = await create();
    await sendPhoto(sid, fields);
    expect((await read(sid)).body).toMatchObject({ status: 'FINISHED', signals: [signal] });
  });

  it('have repeated_image for a photo of another session of the tenant', async () => {
    const other = { ...developmentCredential, tenant: 'other', username: 'other' };
    const { create, sendPhoto, read } = await open({
      outcome: low,
      credentials: [developmentCredential, other],
    });
    const headers = { Authorization: `Basic ${btoa('other:default-password')}` };
    const [first, second, third] = [await create(), await create(), await create()];
    const others = await create(creation, headers);
    for (const { sid } of [first, second, others]) await sendPhoto(sid);
    await sendPhoto(third.sid, {}, png);
    const signalsOf = async (sid: string, as = {}) =>
      ((await read(sid, as)).body as { signals: string[] }).signals;
    expect(await signalsOf(first.sid)).toEqual([]);
    expect(await signalsOf(second.sid)).toEqual(['repeated_image']);
    expect(await signalsOf(third.sid)).toEqual([]);
    expect(await signalsOf(others.sid, headers)).toEqual([]);
  });

  it('have replayed_frame for equal bytes in one session', async () => {
    const { create, sendPhoto, read } = await open({ outcome: high });
    const { sid } = await create();
    for (let sent = 0; sent < 2; sent += 1) await sendPhoto(sid);
    expect((await read(sid)).body).toMatchObject({ signals: ['replayed_frame'] });
  });

  it.each(['none', 'forged.forged', 'of another session'])(
    'have no_page_token for a photo with a token that is %s, which is refused',
    async (token) => {
      const gateway = await open({ outcome: low });
      const [{ sid }, other] = [await gateway.create(), await gateway.create()];
      const { token: foreign } = await gateway.readState(other.sid);
      const sent = token === 'of another session' ? String(foreign) : token;
      const answer = await gateway.sendPhoto(sid, { token: sent });
      expect(answer.body).toEqual(errorBody(403, 'page_token_refused'));
      expect((await gateway.read(sid)).body).toMatchObject({
        tries_left: 3,
        signals: ['no_page_token'],
      });
      expect(gateway.queue.jobs.size).toBe(0);
    },
  );
});

describe('an expired session', () => {
  it('keeps its state for its tenant, and its page is gone', async () => {
    const clock = { now: Date.now() };
    const { create, read, ask, sendPhoto, readState } = await open({ now: () => clock.now });
    const { sid } = await create({ ...creation, ttl_seconds: 60 });
    const { token } = await readState(sid);
    clock.now += 60_000;
    expect((await read(sid)).body).toMatchObject({ status: 'PENDING', result: null });
    const gone = errorBody(410, 'session_expired');
    expect((await ask('GET', `/sessions/${sid}`)).body).toEqual(gone);
    expect((await ask('GET', `/sessions/${sid}/state`)).body).toEqual(gone);
    expect((await sendPhoto(sid, { token: token ?? '' })).body).toEqual(gone);
  });

  it('still lets a page that waits for its last photo leave', async () => {
    const clock = { now: Date.now() };
    const { create, sendPhoto, readState, queue, finish } = await open({
      now: () => clock.now,
      outcome: 'never',
      waitLimitMs: 1,
    });
    const { sid } = await create({ ...creation, ttl_seconds: 60 });
    await sendPhoto(sid);
    clock.now += 60_000;
    expect(await readState(sid)).toMatchObject({ checking: true });
    const [id = ''] = queue.jobs.keys();
    await finish(id, low);
    expect(await readState(sid)).toMatchObject({
      status: 'FINISHED',
      success_redirect: expect.stringContaining(`sid=${sid}`),
    });
  });
});

describe('leaving the page by its back button', () => {
  const withCancel = { ...creation, cancel_url: 'https://shop.example/cart?x=1' };

  it('leads to the cancel_url, and the session stays open', async () => {
    const { create, ask, readState } = await open();
    const { sid } = await create(withCancel);
    expect(await readState(sid)).toMatchObject({ can_cancel: true });
    const { body } = await ask('POST', `/sessions/${sid}/cancel`);
    expect(body).toEqual({ cancel_redirect: withCancel.cancel_url });
    expect(await readState(sid)).toMatchObject({ status: 'PENDING', tries_left: 3 });
  });

  it('cancels a photo that is being checked', async () => {
    const { create, ask, sendPhoto, readState, queue } = await open({
      outcome: 'never',
      waitLimitMs: 1,
    });
    const { sid } = await create(withCancel);
    await sendPhoto(sid);
    await ask('POST', `/sessions/${sid}/cancel`);
    expect(queue.jobs.size).toBe(0);
    expect(await readState(sid)).toMatchObject({ checking: false, tries_left: 3 });
  });

  it('is not possible without a cancel_url, or once the session is finished', async () => {
    const { create, ask, sendPhoto, readState } = await open({ outcome: low });
    const [{ sid }, finished] = [await create(), await create(withCancel)];
    expect(await readState(sid)).toMatchObject({ can_cancel: false });
    const refused = await ask('POST', `/sessions/${sid}/cancel`);
    expect(refused.body).toEqual(errorBody(404, 'not_found'));
    await sendPhoto(finished.sid);
    const late = await ask('POST', `/sessions/${finished.sid}/cancel`);
    expect(late.body).toEqual(errorBody(409, 'session_finished'));
  });
});

describe('the page', () => {
  const asBrowser = { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } };

  it('loads nothing from elsewhere, runs no inline script, and has the camera for itself', async () => {
    const { create, url } = await open();
    const { sid } = await create({ ...creation, reference: '<script>alert(1)</script>' });
    const response = await fetch(`${url}/sessions/${sid}`, asBrowser);
    const { headers } = response;
    expect(headers.get('content-type')).toMatch(/^text\/html/);
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/^default-src 'none';/);
    expect(policy).not.toMatch(/unsafe|https?:/);
    expect(policy).toContain("frame-ancestors 'none'");
    expect(headers.get('permissions-policy')).toBe('camera=(self)');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    const html = await response.text();
    expect(html).not.toMatch(/<script(?! src)|alert|shop\.example| on\w+=/);
  });

  it('may be framed by the origins of a setting only', async () => {
    const frameAncestors = "'self' https://shop.example";
    const sessions = { keepMs: 60_000, frameAncestors, requestsPerAddress: 0 };
    const { create, url } = await open({ sessions });
    const { sid } = await create();
    const response = await fetch(`${url}/sessions/${sid}`, asBrowser);
    await response.text();
    expect(response.headers.get('content-security-policy')).toContain(
      `frame-ancestors ${frameAncestors}`,
    );
  });

  it('is an HTML page for errors too, in a browser; programs get JSON', async () => {
    const clock = { now: Date.now() };
    const { create, url, ask } = await open({ now: () => clock.now });
    const { sid } = await create({ ...creation, ttl_seconds: 60 });
    clock.now += 60_000;
    for (const [path, status, words] of [
      [`/sessions/${'a'.repeat(32)}`, 404, 'there is nothing at this path'],
      [`/sessions/${sid}`, 410, 'this session has expired'],
    ] as const) {
      const response = await fetch(url + path, asBrowser);
      expect(response.status).toBe(status);
      expect(response.headers.get('content-type')).toMatch(/^text\/html/);
      expect(response.headers.get('content-security-policy')).toMatch(/^default-src 'none';/);
      expect(await response.text()).toContain(words);
      expect((await ask('GET', path)).status).toBe(status);
    }
  });
});

describe('rates', () => {
  it('limit the photos of one session, with a time to retry', async () => {
    const { create, sendPhoto } = await open({ outcome: noFace });
    const [{ sid }, other] = [await create(), await create()];
    for (let sent = 0; sent < 10; sent += 1) expect((await sendPhoto(sid)).status).toBe(200);
    const { body, response } = await sendPhoto(sid);
    expect(body).toEqual(errorBody(429, 'rate_limited'));
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await sendPhoto(other.sid)).status).toBe(200);
  });

  it('limit the requests of one session', async () => {
    const { create, ask } = await open();
    const { sid } = await create();
    const read = () => ask('GET', `/sessions/${sid}/state`);
    for (let sent = 0; sent < 240; sent += 1) await read();
    expect((await read()).body).toEqual(errorBody(429, 'rate_limited'));
  }, 60_000);

  it('limit one address behind a trusted proxy, whatever it asks for', async () => {
    const sessions = { keepMs: 60_000, frameAncestors: "'none'", requestsPerAddress: 2 };
    const { ask } = await open({ sessions, trustedProxies: 'loopback' });
    const from = (address: string, path: string) =>
      ask('GET', path, { headers: { 'x-forwarded-for': address } });
    const paths = ['a', 'b', 'c'].map((letter) => `/sessions/${letter.repeat(32)}/state`);
    const statuses = [];
    for (const path of paths) statuses.push((await from('203.0.113.1', path)).status);
    expect(statuses).toEqual([404, 404, 429]);
    expect((await from('203.0.113.2', paths[0]!)).status).toBe(404);
    for (const path of paths) await from('2001:db8:1:2::1', path);
    expect((await from('2001:db8:1:2:ffff::9', paths[0]!)).status).toBe(429);
    expect((await from('2001:db8:1:3::1', paths[0]!)).status).toBe(404);
  });

  it('do not limit a private address without a trusted proxy: it is that of a proxy', async () => {
    const sessions = { keepMs: 60_000, frameAncestors: "'none'", requestsPerAddress: 1 };
    const { create, readState } = await open({ sessions });
    const { sid } = await create();
    for (let sent = 0; sent < 3; sent += 1) {
      expect(await readState(sid)).toMatchObject({ status: 'PENDING' });
    }
  });

  it('count a photo among the requests of its tenant', async () => {
    const limited = { ...developmentCredential, rate_limit_per_minute: 2 };
    const { create, sendPhoto } = await open({ outcome: noFace, credentials: [limited] });
    const { sid } = await create();
    expect((await sendPhoto(sid)).status).toBe(200);
    expect((await sendPhoto(sid)).body).toEqual(errorBody(429, 'rate_limited'));
  });

  it('limit a session to 30 photos, also without a verdict', async () => {
    const { create, sendPhoto, sessions } = await open({ outcome: noFace });
    const { sid } = await create();
    await sessions.update(sid, (latest: Session) => ({ ...latest, photos: 29 }));
    const last = await sendPhoto(sid);
    expect(last.body).toMatchObject({ photos_left: 0, token: null, tries_left: 3 });
    expect((await sendPhoto(sid)).body).toEqual(errorBody(409, 'session_exhausted'));
  });
});

describe('webhooks', () => {
  it('get one event of a finished session, and none of its checks', async () => {
    const { create, sendPhoto, read, webhookStore } = await open({ outcome: high });
    const endpoint = exampleEndpoint({ tenant: developmentCredential.tenant });
    await webhookStore.addEndpoint(endpoint, 16);
    const { sid } = await create({ ...creation, max_tries: 2, reference: '4711' });
    await sendPhoto(sid);
    expect(await webhookStore.listDeliveries(endpoint.id)).toEqual([]);
    await sendPhoto(sid);
    const deliveries = await webhookStore.listDeliveries(endpoint.id);
    expect(deliveries).toHaveLength(1);
    expect(JSON.parse(deliveries[0]?.payload ?? '')).toEqual({
      type: 'passive_liveness_session.finished',
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
      data: (await read(sid)).body,
    });
  });

  it('get no event of sessions that they did not subscribe to', async () => {
    const { create, sendPhoto, webhookStore } = await open({ outcome: low });
    const { tenant } = developmentCredential;
    const endpoint = exampleEndpoint({ tenant, events: ['passive_liveness.completed'] });
    await webhookStore.addEndpoint(endpoint, 16);
    const { sid } = await create();
    await sendPhoto(sid);
    expect(await webhookStore.listDeliveries(endpoint.id)).toEqual([]);
  });
});

it('deleting a session deletes its photo, its result and its messages', async () => {
  const { create, sendPhoto, read, ask, queue, webhookStore, sessions } = await open({
    outcome: low,
  });
  const endpoint = exampleEndpoint({ tenant: developmentCredential.tenant });
  await webhookStore.addEndpoint(endpoint, 16);
  const { sid } = await create();
  await sendPhoto(sid);
  const deletion = await ask('DELETE', `${collection}/${sid}`, { headers: defaultAuth });
  expect(deletion.body).toEqual({ sid, deleted: true });
  expect(await webhookStore.listDeliveries(endpoint.id)).toEqual([]);
  expect(queue.jobs.size).toBe(0);
  expect(await sessions.read(sid)).toBeUndefined();
  expect((await read(sid)).body).toEqual(errorBody(404, 'not_found'));
});

it('deleting a session while a photo is checked ends the photo without a result', async () => {
  const { create, sendPhoto, ask, queue } = await open({ outcome: 'never' });
  const { sid } = await create();
  const answer = sendPhoto(sid);
  await expect.poll(() => queue.jobs.size).toBe(1);
  await ask('DELETE', `${collection}/${sid}`, { headers: defaultAuth });
  expect((await answer).body).toEqual(errorBody(404, 'not_found'));
  expect(queue.jobs.size).toBe(0);
});

it('no log line has a whole sid, a reference or a verdict', async () => {
  const lines: string[] = [];
  const gateway = await open({ outcome: low, onLog: (line) => lines.push(line) });
  const { sid } = await gateway.create({ ...creation, reference: 'order-4711' });
  await gateway.sendPhoto(sid);
  await gateway.read(sid);
  await expect.poll(() => lines.join('\n')).toContain(collection);
  expect(lines.join('\n')).toContain(`/sessions/${sid.slice(0, 6)}…/photo`);
  expect(lines.join('\n')).not.toMatch(new RegExp(`${sid}|4711|LOW|0\\.026`));
});

it('a browser that hangs up in the middle of a photo leaves nothing held, and costs nothing', async () => {
  const { create, readState, leases, uploads, port } = await open();
  const { sid } = await create();
  const client = connectRaw(port);
  const type = 'Content-Type: multipart/form-data; boundary=x';
  const head = [`POST /sessions/${sid}/photo HTTP/1.1`, 'Host: a', type, 'Content-Length: 1000'];
  client.send(`${head.join('\r\n')}\r\n\r\n--x\r\n`);
  await expect.poll(() => leases.held()).toMatchObject({ parser: 1, upload_permit: 1 });
  client.reset();
  const count = () => Object.values(leases.held()).reduce((sum, held) => sum + held);
  await expect.poll(count).toBe(0);
  expect(uploads.bytesInFlight).toBe(0);
  expect(await readState(sid)).toMatchObject({ photos_left: 30, tries_left: 3 });
});

it('nothing is held once the sessions are over', async () => {
  const { create, sendPhoto, leases, uploads } = await open({ outcome: low });
  const { sid } = await create();
  await sendPhoto(sid);
  await sendPhoto(sid, { token: 'forged' });
  expect(Object.values(leases.held()).every((count) => count === 0)).toBe(true);
  expect(uploads.bytesInFlight).toBe(0);
});
