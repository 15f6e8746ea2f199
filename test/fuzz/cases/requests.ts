import { defaultAuth, path } from '@livegate/testing/gateway/caller';
import * as fc from 'fast-check';
import type { Exchange } from '../wire.js';

/** One connection's bytes, and what may come back. */
export interface FuzzCase extends Exchange {
  label: string;
  /** The caller asked for a short wait, so 504 is its own choice. */
  mayTimeOut?: boolean;
  /** The `x-request-id` that was sent, as bytes (latin1). */
  callersId?: string | undefined;
  /** Answers may be pages instead of JSON. */
  isPage?: boolean;
}

export type HeaderField = [name: string, value: string];

export interface Parts {
  method: string;
  target: string;
  /** Values may contain any byte (latin1). */
  headers: HeaderField[];
  body: Buffer;
  framing: 'length' | 'chunked';
}

export const auth: HeaderField[] = Object.entries(defaultAuth);

const host: HeaderField = ['Host', 'localhost'];

/** A complete request. */
export function encodeRequest({ method, target, headers, body, framing }: Parts): Buffer {
  const isChunked = framing === 'chunked';
  const length: HeaderField = isChunked
    ? ['Transfer-Encoding', 'chunked']
    : ['Content-Length', `${body.length}`];
  const fields = [host, ...headers, length].map(([name, value]) => `${name}: ${value}\r\n`);
  const head = Buffer.from(`${method} ${target} HTTP/1.1\r\n${fields.join('')}\r\n`, 'latin1');
  return Buffer.concat([head, isChunked ? chunked(body) : body]);
}

function chunked(body: Buffer): Buffer {
  const chunks = [];
  for (let at = 0; at < body.length; at += CHUNK_BYTES) {
    const chunk = body.subarray(at, at + CHUNK_BYTES);
    chunks.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
  }
  return Buffer.concat([...chunks, Buffer.from('0\r\n\r\n')]);
}

const CHUNK_BYTES = 1000;

/** `null` four times of five. */
export function sometimes<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
}

export const framings = fc.constantFrom('length' as const, 'length' as const, 'chunked' as const);

/** Texts that break parsers: empty, long, with controls, not ASCII, like numbers, like code. */
export const oddTexts: fc.Arbitrary<string> = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '',
    ' ',
    '0',
    '-1',
    '1e9',
    'NaN',
    'null',
    '__proto__',
    'constructor',
    '../../etc/passwd',
    '%00',
    '%2e%2e%2f',
    '%ff%fe',
    "' OR 1=1 --",
    '${7*7}',
    '{{7*7}}',
    '*',
    '{livegate}:image:1',
    'EVAL',
    '\u202e',
    '\ud800',
    'ﬀ',
    '𝕏',
  ),
  fc.constantFrom('a', '%41', 'ä', '0').map((text) => text.repeat(3000)),
);

/** The text as bytes in a header value; CR, LF and NUL would make it another header. */
export const headerValues: fc.Arbitrary<string> = oddTexts.map((text) =>
  Buffer.from(text)
    .toString('latin1')
    .replaceAll(/[\0\r\n]/g, ' ')
    .trim()
    .slice(0, 8000),
);

const preferences = fc.oneof(
  fc.constantFrom(
    'respond-async',
    'respond-async, wait=1',
    'wait=0',
    'wait=1',
    'wait="1"',
    'wait=-1',
    'wait=1e3',
    'wait=99999999999999999999',
    'wait=1;x, respond-async;y="z"',
    'RESPOND-ASYNC',
    'handling=lenient',
    ',,,',
    'wait=1,wait=2',
  ),
  headerValues,
);

const idempotencyKeys = fc.oneof(
  fc.constantFrom('"k1"', 'k2', '""', '"', 'a b', '"a"b"', 'x'.repeat(255), 'x'.repeat(256), 'ü'),
  headerValues,
);

/** Optional headers of a check with good and bad values. */
export const oddHeaders: fc.Arbitrary<HeaderField[]> = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: fc.tuple(fc.constant('Prefer'), preferences) },
      { weight: 3, arbitrary: fc.tuple(fc.constant('Idempotency-Key'), idempotencyKeys) },
      { weight: 3, arbitrary: fc.tuple(fc.constant('x-request-id'), headerValues) },
      fc.tuple(
        fc.constant('Livegate-Quality'),
        fc.oneof(fc.constantFrom('report', 'enforce', 'header', 'REPORT', 'x'), headerValues),
      ),
      fc.tuple(
        fc.constant('Content-Encoding'),
        fc.oneof(fc.constantFrom('gzip', 'deflate', 'br', 'identity', 'gzip, gzip'), headerValues),
      ),
      { weight: 3, arbitrary: fc.tuple(fc.constant('Accept'), headerValues) },
      fc.tuple(
        fc.constantFrom('X-Forwarded-Host', 'X-Forwarded-Proto', 'X-Forwarded-Prefix', 'Forwarded'),
        headerValues,
      ),
      fc.tuple(
        fc.constantFrom('traceparent', 'tracestate', 'baggage', 'Cookie', 'Range', 'If-None-Match'),
        headerValues,
      ),
      fc.tuple(fc.constant('Expect'), fc.constantFrom('100-continue', '100-continue', 'magic')),
      fc.tuple(fc.constant('Authorization'), credentials()),
      fc.tuple(fc.constant('x-api-key'), headerValues),
    ),
    { maxLength: 3 },
  )
  // Sent twice, most of these would be joined; the contract only says what one of them means.
  .map((fields) => [...new Map(fields.map(([name, value]) => [name, value])).entries()]);

function credentials(): fc.Arbitrary<string> {
  const basic = oddTexts.map((text) => `Basic ${Buffer.from(text).toString('base64')}`);
  return fc.oneof(
    basic,
    headerValues,
    fc.constantFrom('Basic', 'Basic ', 'Bearer x', 'Basic ===='),
  );
}

/** With good credentials unless the headers bring others. */
export function withAuth(headers: HeaderField[]): HeaderField[] {
  const given = new Set(headers.map(([name]) => name));
  return [...auth.filter(([name]) => !given.has(name)), ...headers];
}

/** The case of one complete request. */
export function wholeCase(label: string, parts: Parts): FuzzCase {
  const valueOf = (name: string) => parts.headers.find(([each]) => each === name)?.[1];
  return {
    label,
    bytes: encodeRequest(parts),
    isWhole: true,
    isHead: parts.method === 'HEAD',
    mayTimeOut: /wait/i.test(valueOf('Prefer') ?? ''),
    callersId: valueOf('x-request-id'),
  };
}

/** A check of the body. */
export function checkCase(label: string, parts: Omit<Parts, 'method' | 'target'>): FuzzCase {
  return wholeCase(label, { method: 'POST', target: path, ...parts });
}
