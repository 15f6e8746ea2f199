import { deflateSync, gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { type HeaderField, sometimes } from './requests.js';

/** One part of a multipart body. */
export type Part = [head: string, body: Buffer];

export function multipartOf(parts: Part[], boundary = 'x'): { type: HeaderField; body: Buffer } {
  const encoded = parts.flatMap(([head, body]) => [
    Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`, 'latin1'),
    body,
    Buffer.from('\r\n'),
  ]);
  const body = Buffer.concat([...encoded, Buffer.from(`--${boundary}--\r\n`, 'latin1')]);
  return { type: ['Content-Type', `multipart/form-data; boundary=${boundary}`], body };
}

/** Edits of an encoded body: bytes cut out, repeated, overwritten. */
export const bodyEdits = sometimes(
  fc.record({
    at: fc.nat(10_000),
    remove: fc.nat(40),
    insert: fc.constantFrom('', '\r\n', '\n', '\r', '--x', '--x--', '\r\n--x\r\n', '\0', '--', ' '),
  }),
);

type Edit = { at: number; remove: number; insert: string } | null;

export function edited(body: Buffer, edit: Edit): Buffer {
  if (!edit) return body;
  const at = edit.at % (body.length + 1);
  const insert = Buffer.from(edit.insert, 'latin1');
  return Buffer.concat([body.subarray(0, at), insert, body.subarray(at + edit.remove)]);
}

/** Compressed as the header `Content-Encoding` declares, if it names an encoding that exists. */
export function compress(body: Buffer, headers: HeaderField[]): Buffer {
  const encoding = headers.find(([name]) => name === 'Content-Encoding')?.[1];
  // Bodies of an even length stay uncompressed, so that the header is wrong about half of them.
  if (body.length % 2 === 0) return body;
  if (encoding === 'gzip') return gzipSync(body);
  return encoding === 'deflate' ? deflateSync(body) : body;
}
