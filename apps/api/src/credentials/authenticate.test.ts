import { LivegateError } from '@livegate/core/domain';
import type { Request, RequestHandler, Response } from 'express';
import { describe, expect, it, vi } from 'vitest';
import {
  authenticate,
  authenticatePage,
  createIsPermitted,
  limitOtherRequests,
  limitRate,
} from './authenticate.js';
import { type Credential, hashSecret } from './credential-book.js';

const acme: Credential = {
  tenant: 'acme',
  username: 'ann',
  password_sha256: hashSecret('pass:word'),
  api_key_sha256: hashSecret('key'),
  permissions: ['sessions'],
};
const at = (ms: number) => new Date(Date.now() + ms).toISOString();
const credentials: Credential[] = [
  acme,
  { ...acme, username: 'bob', password_sha256: hashSecret('other'), permissions: [] },
  { ...acme, username: 'old', not_after: at(-1) },
  { ...acme, username: 'new', not_after: at(60_000) },
];

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

/** The username that a request is taken for, or the code of its refusal. */
function ask(headers: Record<string, string>, guard = authenticate) {
  const req = { get: (name: string) => headers[name] } as unknown as Request;
  const used: string[] = [];
  const book = {
    find: (username: string) => credentials.find((each) => each.username === username),
    recordUse: (username: string) => used.push(username),
    weightOf: () => 1,
    close: () => undefined,
  };
  const permitted = createIsPermitted(book, 'sessions')(req);
  const res = { locals: {} } as Response;
  let accepted: string | undefined;
  try {
    void guard(book, 'sessions')(req, res, () => (accepted = res.locals.credential.username));
    return { answer: accepted, used: used.join(), permitted };
  } catch (error) {
    return { answer: (error as LivegateError).code, used: used.join(), permitted };
  }
}

describe('a request is authenticated', () => {
  it.each([
    ['with a password that contains a colon', 'ann', basic('ann:pass:word')],
    ['with "basic" in any case', 'ann', basic('ann:pass:word').replace('Basic', 'bASIC  ')],
    ['before its credential expires', 'new', basic('new:pass:word')],
  ])('%s', (_name, answer, authorization) => {
    const accepted = { answer, used: answer, permitted: true };
    expect(ask({ authorization, 'x-api-key': 'key' })).toEqual(accepted);
    expect(ask({ authorization }, authenticatePage)).toEqual(accepted);
  });
});

describe('a request is refused', () => {
  it.each<[string, string | undefined]>([
    ['without credentials', undefined],
    ['with a wrong password', basic('ann:password')],
    ['without a password', basic('ann')],
    ['with the password of another credential', basic('ann:other')],
    ['with an unknown name', basic('nobody:pass:word')],
    ['with an unknown name and an empty password', basic('nobody:')],
    ['with an expired credential', basic('old:pass:word')],
    ['with a Bearer token', basic('ann:pass:word').replace('Basic', 'Bearer')],
    ['with text before Basic', `x ${basic('ann:pass:word')}`],
    ['with text after Basic', `${basic('ann:pass:word')} x`],
    ['with Basic that is not base64', 'Basic ***'],
  ])('%s', (_name, authorization) => {
    const headers = authorization === undefined ? {} : { authorization };
    const refused = { answer: 'unauthorized', used: '', permitted: false };
    expect(ask({ ...headers, 'x-api-key': 'key' })).toEqual(refused);
    expect(ask(headers, authenticatePage)).toEqual(refused);
  });

  it('with a wrong x-api-key or none, which a page does not need', () => {
    const authorization = basic('ann:pass:word');
    for (const headers of [{ authorization }, { authorization, 'x-api-key': 'pass:word' }]) {
      expect(ask(headers)).toMatchObject({ answer: 'unauthorized', used: '' });
      expect(ask(headers, authenticatePage)).toMatchObject({ answer: 'ann', used: 'ann' });
    }
  });

  it('with a credential that has no permission', () => {
    const headers = { authorization: basic('bob:other'), 'x-api-key': 'key' };
    for (const guard of [authenticate, authenticatePage]) {
      expect(ask(headers, guard)).toEqual({ answer: 'forbidden', used: '', permitted: false });
    }
  });
});

describe('the rate of a tenant', () => {
  /** What a request consumes, and whether it goes on. */
  async function consume(
    limit: typeof limitRate,
    credential: Partial<Credential>,
    error?: LivegateError,
  ) {
    const consumed = vi.fn<(key: string, perMinute: number) => Promise<void>>(async () => {
      if (error) throw error;
    });
    const res = { locals: { credential: { ...acme, ...credential } } } as Response;
    const next = vi.fn<() => void>();
    const handle = limit({ consume: consumed }, 60) as (
      ...args: Parameters<RequestHandler>
    ) => Promise<void>;
    const ended = await handle({} as Request, res, next).catch((reason: unknown) => reason);
    return { consumed: consumed.mock.calls, ended, wentOn: next.mock.calls.length === 1 };
  }

  it('is that of its credential, else the default', async () => {
    const rates = { rate_limit_per_minute: 0, other_requests_per_minute: 7 };
    expect(await consume(limitRate, {})).toMatchObject({ consumed: [['acme', 60]], wentOn: true });
    expect(await consume(limitRate, rates)).toMatchObject({ consumed: [['acme', 0]] });
    const other = await consume(limitOtherRequests, {});
    expect(other).toMatchObject({ consumed: [['other:acme', 60]], wentOn: true });
    const ownRate = await consume(limitOtherRequests, rates);
    expect(ownRate).toMatchObject({ consumed: [['other:acme', 7]] });
  });

  it('refuses over it; a full Redis refuses only checks', async () => {
    const [limited, full] = [new LivegateError('rate_limited'), new LivegateError('overloaded')];
    const down = new Error('Redis is down') as LivegateError;
    for (const error of [limited, full, down]) {
      expect(await consume(limitRate, {}, error)).toMatchObject({ ended: error, wentOn: false });
      const isFull = error === full;
      expect(await consume(limitOtherRequests, {}, error)).toMatchObject({
        ended: isFull ? undefined : error,
        wentOn: isFull,
      });
    }
  });
});
