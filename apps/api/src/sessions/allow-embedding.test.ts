import type { Request, Response } from 'express';
import { describe, expect, it, vi } from 'vitest';
import { allowEmbedding, parseEmbedOrigins } from './allow-embedding.js';

describe('the origins that may embed the capture', () => {
  it('are scheme, host and port only', () => {
    expect(parseEmbedOrigins(' https://shop.example  http://localhost:3000 ')).toEqual([
      'https://shop.example',
      'http://localhost:3000',
    ]);
  });

  it.each([
    '*',
    'shop.example',
    'https://shop.example/',
    'https://*.shop.example',
    'null',
    'ftp://shop.example',
    'https://',
  ])('are not %s', (text) => {
    const both = `https://a.example ${text}`;
    const problem = `expected origins such as https://shop.example, separated by spaces, not "${text}"`;
    expect(() => parseEmbedOrigins(both)).toThrow(problem);
  });
});

describe('a request of a page with another origin', () => {
  const shop = 'https://shop.example';

  /** The headers of the answer, its status if it is complete, and whether the request goes on. */
  function ask(origin: string | undefined, { method = 'GET', origins = [shop] } = {}) {
    const headers: Record<string, string> = {};
    const next = vi.fn<() => void>();
    const end = vi.fn<() => void>();
    const status = vi.fn<(code: number) => object>(() => ({ end }));
    const set = (name: string | object, value?: string) =>
      Object.assign(headers, typeof name === 'string' ? { [name]: value } : name);
    const vary = (name: string) => set('Vary', name);
    const get = (name: string) => (name === 'origin' ? origin : undefined);
    const res = { set, vary, status } as unknown as Response;
    void allowEmbedding(origins)({ method, get } as Request, res, next);
    expect(end).toHaveBeenCalledTimes(status.mock.calls.length);
    return { headers, statuses: status.mock.calls.flat(), goesOn: next.mock.calls.length };
  }

  it('may read the answer if the origin is a configured one', () => {
    expect(ask(shop)).toEqual({
      headers: {
        Vary: 'Origin',
        'Access-Control-Allow-Origin': shop,
        'Access-Control-Expose-Headers': 'Retry-After',
      },
      statuses: [],
      goesOn: 1,
    });
  });

  it('may ask before an upload', () => {
    const { headers, statuses, goesOn } = ask(shop, { method: 'OPTIONS' });
    expect(headers).toMatchObject({
      'Access-Control-Allow-Origin': shop,
      'Access-Control-Allow-Methods': 'GET, POST',
      'Access-Control-Max-Age': '600',
    });
    expect({ statuses, goesOn }).toEqual({ statuses: [204], goesOn: 0 });
  });

  it.each([undefined, 'https://evil.example', `${shop}.evil.example`])(
    'gets no permission from %s',
    (origin) => {
      for (const method of ['GET', 'OPTIONS']) {
        const answer = { headers: { Vary: 'Origin' }, statuses: [], goesOn: 1 };
        expect(ask(origin, { method })).toEqual(answer);
      }
    },
  );

  it('is as any other if no origin is configured', () => {
    expect(ask(shop, { origins: [] })).toEqual({ headers: {}, statuses: [], goesOn: 1 });
  });
});
