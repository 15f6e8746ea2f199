import { defaultAuth } from '@livegate/testing/gateway/gateway';
import * as fc from 'fast-check';
import type {
  OpenApiDocument,
  Parameter,
  Schema,
} from '../../apps/api/src/openapi/document-types.js';
import {
  type DocumentedOperation,
  listOperations,
} from '@livegate/testing/product/document-checker';
import { goodImages, hostileImages, type Images } from './images.js';
import {
  framings,
  type FuzzCase,
  type HeaderField,
  headerValues,
  oddHeaders,
  oddTexts,
  type Parts,
  sometimes,
  wholeCase,
  withAuth,
} from './requests.js';
import { valuesOf } from './schema-values.js';
import { webhookUrls } from './uploads.js';

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
const segments = oddTexts
  .map((text) => encodeURIComponent(Buffer.from(text).toString()).slice(0, 8000))
  .filter((text) => !['', '.', '..'].includes(text));

/** A text that can be in a request target; the parser of HTTP refuses the others. */
const oddIds = fc.oneof(
  segments,
  headerValues.map((text) => text.replaceAll(/[^\x21-\x7e]/g, '').replaceAll('#', '')),
  fc.uuid(),
);

function fillPath(path: string, existing: Existing, replace: () => string | undefined): string {
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
        const body = Buffer.concat([
          ...all.flatMap(([name, value]) => [
            Buffer.from(`--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n`),
            value,
            Buffer.from('\r\n'),
          ]),
          Buffer.from('--x--\r\n'),
        ]);
        const type: HeaderField = ['Content-Type', 'multipart/form-data; boundary=x'];
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

/** Requests made from the schemas of the document, with values that fit and values that nearly fit. */
export function documentedCases(
  document: OpenApiDocument,
  images: Images,
): fc.Arbitrary<RouteCase> {
  const operations = listOperations(document).filter(({ path }) => path.startsWith('/'));
  const resolve = <T extends object>(item: T | { $ref: string }): T => {
    if (!('$ref' in item)) return item;
    const [, , kind = '', name = ''] = item.$ref.split('/');
    return document.components[kind]?.[name] as T;
  };
  const texts = fc.oneof(oddTexts, webhookUrls);
  const values = (schema: Schema) =>
    valuesOf(schema, { resolve, texts, images: hostileImages(images) });
  return fc.oneof(...operations.map(operationCases));

  function operationCases(documented: DocumentedOperation): fc.Arbitrary<RouteCase> {
    const { path, method, operation } = documented;
    const parameters = (operation.parameters ?? []).map((each) => resolve<Parameter>(each));
    const headerFields = fc.array(
      fc.oneof(
        fc.constant(undefined),
        ...parameters
          .filter((parameter) => parameter.in === 'header')
          .map(({ name, schema }) =>
            values(schema).map((value): HeaderField => [name, toHeaderValue(value)]),
          ),
      ),
      { maxLength: 3 },
    );
    const bodies = fc.oneof(
      fc.constant(undefined),
      ...Object.entries(operation.requestBody?.content ?? {}).map(([type, { schema }]) =>
        values(schema).map((value) => encodeBody(type, value)),
      ),
    );
    const ids = fc.array(fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, segments), {
      minLength: 2,
      maxLength: 2,
    });
    return fc
      .record({ headers: headerFields, body: bodies, ids })
      .map(({ headers, body, ids: given }) => ({
        label: `documented ${operation.operationId}`,
        documented,
        build: (existing) => {
          let next = 0;
          const fields = headers.filter((each) => each !== undefined);
          const unique = [...new Map(fields.map(([name, value]) => [name, value])).entries()];
          const parts: Parts = {
            method: method.toUpperCase(),
            target: fillPath(path, existing, () => given[next++]),
            headers: [...Object.entries(defaultAuth), ...unique, ...(body ? [body.type] : [])],
            body: body?.bytes ?? Buffer.alloc(0),
            framing: 'length',
          };
          const isPage = method === 'get';
          return { ...wholeCase(`documented ${operation.operationId}`, parts), isPage };
        },
      }));
  }
}

function toHeaderValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return Buffer.from(text)
    .toString('latin1')
    .replaceAll(/\p{Cc}/gu, ' ')
    .trim()
    .slice(0, 4000);
}

function encodeBody(type: string, value: unknown): { type: HeaderField; bytes: Buffer } {
  if (!type.startsWith('multipart/')) {
    return { type: ['Content-Type', type], bytes: Buffer.from(JSON.stringify(value)) };
  }
  const members = Object.entries((value ?? {}) as Record<string, unknown>);
  const parts = members.flatMap(([name, member]) => [
    Buffer.from(`--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n`),
    Buffer.isBuffer(member)
      ? member
      : Buffer.from(typeof member === 'string' ? member : JSON.stringify(member)),
    Buffer.from('\r\n'),
  ]);
  const bytes = Buffer.concat([...parts, Buffer.from('--x--\r\n')]);
  return { type: ['Content-Type', 'multipart/form-data; boundary=x'], bytes };
}
