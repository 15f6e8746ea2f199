import { uuidV7 } from '@livegate/testing/gateway/error-body';
import type { Request, Response } from 'express';
import { describe, expect, it, vi } from 'vitest';
import { collapseSlashes, identifyRequest } from './identify-request.js';

/** The headers of the answer and what the log gets, for the caller's own id. */
function identify(callersId?: string) {
  const headers: Record<string, string> = {};
  const set = (name: string, value: string) => (headers[name] = value);
  const get = (name: string) => (name === 'x-request-id' ? callersId : undefined);
  const res = { locals: {}, set } as unknown as Response;
  const next = vi.fn<() => void>();
  void identifyRequest({ get } as Request, res, next);
  expect(next).toHaveBeenCalledWith();
  return { headers, locals: res.locals };
}

describe('a request', () => {
  it('has an id of its own, and the time of its arrival', () => {
    const before = performance.now();
    const [first, second] = [identify(), identify()];
    expect(first.headers).toStrictEqual({ 'Request-Id': expect.stringMatching(uuidV7) });
    expect(first.locals.requestId).toBe(first.headers['Request-Id']);
    expect(first.locals.receivedAt).toBeGreaterThanOrEqual(before);
    expect(second.locals.requestId).not.toBe(first.locals.requestId);
  });

  it.each([' ', '~', 'a'.repeat(1024)])('gets back the id of its caller: "%s"', (id) => {
    const { headers, locals } = identify(id);
    expect(headers).toMatchObject({ 'x-request-id': id, 'Request-Id': locals.requestId });
    expect(locals).toMatchObject({ callersId: id, requestId: expect.stringMatching(uuidV7) });
  });

  it.each(['', 'a\tb', 'a\u007f', 'Auftrag-\u00e4', 'a'.repeat(1025)])(
    'never gets back an id that could come back changed: %j',
    (id) => {
      const { headers, locals } = identify(id);
      expect(headers).not.toHaveProperty('x-request-id');
      expect(locals.callersId).toBeUndefined();
    },
  );

  it.each([
    ['/a//b', '/a//b'],
    ['//a/b', '/a/b'],
    ['///a?b=//c', '/a?b=//c'],
  ])('for %s is one for %s', (url, path) => {
    const req = { url } as Request;
    const next = vi.fn<() => void>();
    void collapseSlashes(req, {} as Response, next);
    expect(req.url).toBe(path);
    expect(next).toHaveBeenCalledWith();
  });
});
