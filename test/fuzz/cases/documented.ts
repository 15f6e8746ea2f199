import { defaultAuth } from '@livegate/testing/gateway/caller';
import {
  type DocumentedOperation,
  listOperations,
} from '@livegate/testing/product/document-checker';
import * as fc from 'fast-check';
import type {
  OpenApiDocument,
  Parameter,
  Schema,
} from '../../../apps/api/src/openapi/document-types.js';
import { multipartOf } from './bodies.js';
import { hostileImages, type Images } from './images.js';
import { type HeaderField, oddTexts, type Parts, wholeCase } from './requests.js';
import { fieldHead, fillPath, type RouteCase, segments } from './routes.js';
import { valuesOf } from './schema-values.js';
import { webhookUrls } from './webhook-urls.js';

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
  const { type: header, body } = multipartOf(
    members.map(([name, member]) => [fieldHead(name), toBytes(member)]),
  );
  return { type: header, bytes: body };
}

function toBytes(member: unknown): Buffer {
  if (Buffer.isBuffer(member)) return member;
  return Buffer.from(typeof member === 'string' ? member : JSON.stringify(member));
}
