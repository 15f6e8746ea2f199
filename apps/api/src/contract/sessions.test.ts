import { exampleSession } from '@livegate/testing';
import { describe, expect, it } from 'vitest';
import {
  presentPageState,
  presentSession,
  readCaptureFacts,
  sessionCreationSchema,
  withSid,
} from './sessions.js';

const sid = 'Vx3kQ0aZr9TnB1cD5eF7gH2iJ4kL6mN8';
const accepts = (success_url: unknown) => sessionCreationSchema.safeParse({ success_url }).success;

describe('the URL that a person goes to', () => {
  it.each([
    ['https://a.example', 'https://a.example/?sid=SID'],
    ['https://a.example/done/', 'https://a.example/done/?sid=SID'],
    ['https://a.example/done?', 'https://a.example/done?sid=SID'],
    ['https://a.example/?a=b%20c+d&e=%26', 'https://a.example/?a=b%20c+d&e=%26&sid=SID'],
    ['https://a.example/#/done?x=1', 'https://a.example/?sid=SID#/done?x=1'],
    ['http://localhost:3000/x?a=1#b', 'http://localhost:3000/x?a=1&sid=SID#b'],
    ['https://a.example/?sid=own', 'https://a.example/?sid=own&sid=SID'],
    ['https://bücher.example/ü', 'https://xn--bcher-kva.example/%C3%BC?sid=SID'],
    ['https://a.example/"><script>', 'https://a.example/%22%3E%3Cscript%3E?sid=SID'],
  ])('%s becomes %s', (url, expected) => {
    expect(accepts(url)).toBe(true);
    expect(withSid(url, sid)).toBe(expected.replace('SID', sid));
  });

  it.each([
    'javascript:alert(1)',
    'JavaScript://a.example/%0aalert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'file:///etc/passwd',
    'ftp://a.example/',
    '//a.example/',
    '/done',
    'https:a.example',
    'https:/a.example',
    'https:\\\\a.example',
    'https://a.example\\@b.example',
    'https://user@a.example',
    'https://user:password@a.example',
    'https://:password@a.example',
    'https://a.example/\r\nSet-Cookie: a=b',
    'https://a.example/\n',
    'https://a.example/\t',
    'java\nscript:alert(1)',
    ' https://a.example',
    'https://a.example/ b',
    'https://a.example/\u0000',
    'https://',
    'https://a.example:99999',
    'https://[::1',
    `https://a.example/${'a'.repeat(2048)}`,
    '',
    null,
    1,
    ['https://a.example'],
  ])('is not %j', (url) => {
    expect(accepts(url)).toBe(false);
    const withCancel = { success_url: 'https://a.example', cancel_url: url };
    expect(sessionCreationSchema.safeParse(withCancel).success).toBe(url === null);
  });
});

describe('a creation', () => {
  const parse = (more: object) =>
    sessionCreationSchema.safeParse({ success_url: 'https://a.example', ...more });

  it('has defaults for everything that the GLAIR SDKs do not send', () => {
    expect(parse({}).data).toEqual({
      success_url: 'https://a.example',
      max_tries: 3,
      ttl_seconds: 86_400,
      tell_user: false,
    });
  });

  it.each([
    { max_tries: 0 },
    { max_tries: 11 },
    { max_tries: 1.5 },
    { ttl_seconds: 59 },
    { ttl_seconds: 86_401 },
    { reference: 'a'.repeat(257) },
    { reference: 'a\nb' },
    { reference: 1 },
    { tell_user: 'yes' },
    { locale: 'english please' },
    { locale: '"><script>' },
  ])('is refused with %j', (more) => {
    expect(parse(more).success).toBe(false);
  });

  it.each([
    { max_tries: 1 },
    { max_tries: 10 },
    { ttl_seconds: 60 },
    { ttl_seconds: 86_400 },
    { reference: 'a'.repeat(256) },
    { locale: `en-${'a-'.repeat(15)}aa` },
  ])('may have %j', (more) => {
    expect(parse(more)).toMatchObject({ success: true, data: more });
  });

  it('accepts a reference in any script, and a null for what is not given', () => {
    expect(parse({ reference: '<b>№ 4711 "日本"', cancel_url: null, locale: null }).success).toBe(
      true,
    );
  });
});

describe('the answers about a session', () => {
  const now = 5_000_000;
  const best = { spoofProbability: 0.02611, status: 'LOW' } as const;
  const pending = exampleSession({}, now);
  const finished = { ...pending, status: 'FINISHED', best, tries: 1 } as const;

  it('have null for what is absent, and a result only when it is finished', () => {
    expect(presentSession({ ...pending, best })).toEqual({
      status: 'PENDING',
      sid: pending.sid,
      url: pending.url,
      success_url: 'https://shop.example/done',
      cancel_url: null,
      expired: pending.expiresAt,
      max_tries: 3,
      tries_left: 3,
      reference: null,
      tell_user: false,
      locale: null,
      result: null,
      signals: [],
    });
    expect(presentSession({ ...pending, status: 'FINISHED' }).result).toBeNull();
    expect(presentSession(finished).result).toEqual({
      status: 'success',
      result: { spoof_percentage: 0.02611, status: 'LOW', spoof_status: 'LOW' },
    });
  });

  it('have what its tenant gave', () => {
    const given = { cancelUrl: 'https://shop.example/cart', reference: '4711', locale: 'id' };
    const { successUrl: _, ...session } = { ...pending, ...given };
    expect(presentSession(session)).toMatchObject({
      success_url: null,
      cancel_url: given.cancelUrl,
      reference: '4711',
      locale: 'id',
    });
  });

  it('tell the page what it may do', () => {
    const cancelUrl = 'https://shop.example/cart';
    expect(presentPageState({ ...pending, cancelUrl, hint: 'image_too_dark' }, now)).toEqual({
      status: 'PENDING',
      checking: false,
      tries_left: 3,
      photos_left: 30,
      expired: pending.expiresAt,
      hint: { code: 'image_too_dark', message: 'find a brighter place' },
      token: expect.any(String),
      success_redirect: null,
      can_cancel: true,
      verdict: null,
      locale: null,
    });
    const running = { checkId: 'a', startedAt: now, token: '' };
    expect(presentPageState({ ...pending, photos: 29, running, locale: 'id' }, now)).toMatchObject({
      checking: true,
      photos_left: 1,
      hint: null,
      can_cancel: false,
      locale: 'id',
    });
    expect(presentPageState({ ...finished, cancelUrl }, now)).toMatchObject({
      photos_left: 0,
      success_redirect: `https://shop.example/done?sid=${finished.sid}`,
      can_cancel: false,
    });
    const { successUrl: _, ...withoutUrl } = finished;
    expect(presentPageState(withoutUrl, now).success_redirect).toBeNull();
  });

  it('never tell the page a score, and a class only of a finished session that may tell', () => {
    const tellUser = { tellUser: true };
    expect(JSON.stringify(presentPageState({ ...finished, ...tellUser }, now))).not.toContain(
      '0.026',
    );
    expect(presentPageState({ ...finished, ...tellUser }, now).verdict).toBe('LOW');
    expect(presentPageState({ ...pending, best, ...tellUser }, now).verdict).toBeNull();
    const withoutVerdict = { ...pending, status: 'FINISHED', ...tellUser } as const;
    expect(presentPageState(withoutVerdict, now).verdict).toBeNull();
    const silent = JSON.stringify(presentPageState(finished, now));
    expect(silent).not.toMatch(/LOW|0\.026/);
  });

  it('give the page a token only while it may send a photo', () => {
    const running = { checkId: 'a', startedAt: now, token: '' };
    const closed = [finished, { ...pending, running }, { ...pending, photos: 30 }];
    expect(presentPageState(pending, now).token).toMatch(/^[\w-]{16}\.[\w-]{22}$/);
    for (const session of closed) expect(presentPageState(session, now).token).toBeNull();
    expect(presentPageState(pending, pending.expiresAt).token).toBeNull();
  });
});

it('capture facts that are malformed count as absent', () => {
  const fields = { source: 'phone', frame_age_ms: '1e9', frames: '', camera: 'virtual' };
  expect(readCaptureFacts(fields)).toEqual({ camera: 'virtual' });
  const capture = { source: 'camera', frame_age_ms: '-12.5', frames: '90' };
  expect(readCaptureFacts({ ...capture, frame_jitter_ms: '1.4', more: 'x' })).toEqual({
    source: 'camera',
    frameAgeMs: -12.5,
    frames: 90,
    frameJitterMs: 1.4,
  });
  for (const frames of ['1234567890', '1.1234567', 'x1', '1x', '.5']) {
    expect(readCaptureFacts({ frames })).toEqual({});
  }
});
