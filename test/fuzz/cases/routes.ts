import type { DocumentedOperation } from '@livegate/testing/product/document-checker';
import * as fc from 'fast-check';
import type { OpenApiDocument } from '../../../apps/api/src/openapi/document-types.js';
import { multipartOf } from './bodies.js';
import { goodImages, hostileImages, type Images } from './images.js';
import {
  framings,
  type FuzzCase,
  headerValues,
  oddHeaders,
  oddTexts,
  type Parts,
  sometimes,
  wholeCase,
  withAuth,
} from './requests.js';

/** Things that exist, for paths and forms. */
export interface Existing {
  job: string;
  sid: string;
  token: string;
  endpoint: string;
  delivery: string;
}

/** A case whose request needs the ids of things that exist. */
export interface RouteCase {
  label: string;
  documented?: DocumentedOperation;
  build(existing: Existing): FuzzCase;
}

/** Any path with any method: what exists, what nearly exists, and what does not. */
export function pathCases(document: OpenApiDocument): fc.Arbitrary<RouteCase> {
  const known = fc.constantFrom(
    ...Object.keys(document.paths),
    '/',
    '/pages/:asset',
    '/operator/queues',
  );
  return fc
    .record({
      method: fc.constantFrom(
        'GET',
        'GET',
        'GET',
        'POST',
        'PUT',
        'PATCH',
        'DELETE',
        'HEAD',
        'OPTIONS',
        'LINK',
      ),
      path: known,
      ids: fc.array(fc.oneof(oddIds, fc.constant(undefined)), { minLength: 2, maxLength: 2 }),
      prefix: fc.constantFrom('', '', '', '/', '//', '/.', '/..', '/%2f'),
      suffix: fc.oneof(
        fc.constant(''),
        fc.constantFrom('/', '//', '/x', '?', '?a=b', '%00', ';', '#'),
      ),
      query: sometimes(oddIds),
      headers: oddHeaders,
      body: fc.oneof(fc.constant(''), fc.constant(''), oddTexts),
      framing: framings,
    })
    .map(({ method, path, ids, prefix, suffix, query, headers, body, framing }) => ({
      label: 'path',
      build: (existing) => {
        let next = 0;
        const filled = fillPath(path, existing, () => ids[next++]);
        const target = `${prefix}${filled}${suffix}${query === null ? '' : `?wait=${query}`}`;
        const parts = {
          method,
          target,
          headers: withAuth(headers),
          body: Buffer.from(body),
          framing,
        };
        return { ...wholeCase('path', parts), isPage: method === 'GET' || method === 'HEAD' };
      },
    }));
}

/** One segment of a path, which leads to the same route as any id. */
export const segments = oddTexts
  .map((text) => encodeURIComponent(Buffer.from(text).toString()).slice(0, 8000))
  .filter((text) => !['', '.', '..'].includes(text));

/** A text that can be in a request target; the parser of HTTP refuses the others. */
const oddIds = fc.oneof(
  segments,
  headerValues.map((text) => text.replaceAll(/[^\x21-\x7e]/g, '').replaceAll('#', '')),
  fc.uuid(),
);

export function fillPath(
  path: string,
  existing: Existing,
  replace: () => string | undefined,
): string {
  const values: Record<string, string> = {
    id: path.includes('webhook') ? existing.endpoint : existing.job,
    sid: existing.sid,
    delivery: existing.delivery,
    asset: 'openapi.css',
  };
  return path.replaceAll(/\{(\w+)\}|:(\w+)/g, (_, braced: string, colon: string) => {
    return replace() ?? values[braced ?? colon] ?? 'x';
  });
}

/** Photos and cancellations of a session's page, in forms that are good or nearly. */
export function sessionCases(images: Images): fc.Arbitrary<RouteCase> {
  const values = fc.oneof(oddTexts, fc.constantFrom('true', '1', '{"x":1}', '640x480'));
  const fields = fc.array(
    fc.tuple(
      fc.constantFrom('token', 'signals', 'camera', 'frames', 'source', 'x', '__proto__'),
      values,
    ),
    { maxLength: 4 },
  );
  return fc
    .record({
      image: fc.oneof(hostileImages(images), goodImages(images.base)),
      fields,
      action: fc.constantFrom('photo', 'photo', 'photo', 'cancel', 'state'),
      hasToken: fc.boolean(),
      headers: oddHeaders,
    })
    .map(({ image, fields: given, action, hasToken, headers }) => ({
      label: 'session',
      build: ({ sid, token }) => {
        const all: [string, Buffer][] = [
          ...(hasToken ? [['token', Buffer.from(token)] as [string, Buffer]] : []),
          ...given.map(([name, value]): [string, Buffer] => [name, Buffer.from(value)]),
          ['image', image],
        ];
        const { type, body } = multipartOf(all.map(([name, value]) => [fieldHead(name), value]));
        const parts: Parts = {
          method: action === 'state' ? 'GET' : 'POST',
          target: `/sessions/${sid}/${action}`,
          headers: [type, ...headers],
          body: action === 'photo' ? body : Buffer.alloc(0),
          framing: 'length',
        };
        return wholeCase('session', parts);
      },
    }));
}

export function fieldHead(name: string): string {
  return `Content-Disposition: form-data; name="${name}"`;
}
