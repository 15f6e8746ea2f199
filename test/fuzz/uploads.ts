import { isIP } from 'node:net';
import { deflateSync, gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { goodImages, hostileImages, type Images } from './images.js';
import {
  checkCase,
  framings,
  type FuzzCase,
  type HeaderField,
  headerValues,
  oddHeaders,
  oddTexts,
  sometimes,
  withAuth,
} from './requests.js';

/** Hostile image bytes in a good request. */
export function imageCases(images: Images): fc.Arbitrary<FuzzCase> {
  return fc
    .record({ image: hostileImages(images), framing: framings })
    .map(({ image, framing }) => {
      const { type, body } = multipartOf([[filePart, image]]);
      return checkCase('image', { headers: withAuth([type]), body, framing });
    });
}

type Part = [head: string, body: Buffer];

const filePart = 'Content-Disposition: form-data; name="image"; filename="blob"';

function multipartOf(parts: Part[], boundary = 'x'): { type: HeaderField; body: Buffer } {
  const encoded = parts.flatMap(([head, body]) => [
    Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`, 'latin1'),
    body,
    Buffer.from('\r\n'),
  ]);
  const body = Buffer.concat([...encoded, Buffer.from(`--${boundary}--\r\n`, 'latin1')]);
  return { type: ['Content-Type', `multipart/form-data; boundary=${boundary}`], body };
}

const partHeads = fc.oneof(
  fc.constantFrom(
    filePart,
    filePart,
    'Content-Disposition: form-data; name="image"',
    'Content-Disposition: form-data; name=image',
    'content-disposition:form-data;name="image";filename=""',
    `${filePart}\r\nContent-Type: image/jpeg`,
    `${filePart}\r\nContent-Type: text/plain; charset=utf-16`,
    `${filePart}\r\nContent-Transfer-Encoding: base64`,
    `${filePart}\r\nContent-Transfer-Encoding: quoted-printable`,
    `Content-Disposition: form-data; name="image"; filename*=UTF-8''%ff%00`,
    `Content-Disposition: form-data; name*=UTF-8''image; filename=x`,
    'Content-Disposition: form-data; name="__proto__"',
    'Content-Disposition: form-data; name="webhook_url"',
    'Content-Disposition: form-data',
    'Content-Disposition: attachment; name="image"; filename="a"',
    'Content-Type: image/png',
    '',
    'Content-Disposition: form-data; name="image"; filename="../../x\\"\r\nX: y',
    `${filePart}\r\n${'X: y\r\n'.repeat(3000)}Z: z`,
    `Content-Disposition: form-data; name="image"; filename="${'a'.repeat(90_000)}"`,
  ),
  headerValues.map((value) => `Content-Disposition: form-data; name="${value}"`),
  headerValues.map((value) => `Content-Disposition: ${value}`),
  headerValues,
);

const boundaries = fc.constantFrom(
  'x',
  'x',
  'x',
  'a'.repeat(70),
  'a'.repeat(5000),
  '-',
  '"',
  "'=+_,./:?",
);

/** Edits of an encoded body: bytes cut out, repeated, overwritten. */
const bodyEdits = sometimes(
  fc.record({
    at: fc.nat(10_000),
    remove: fc.nat(40),
    insert: fc.constantFrom('', '\r\n', '\n', '\r', '--x', '--x--', '\r\n--x\r\n', '\0', '--', ' '),
  }),
);

type Edit = { at: number; remove: number; insert: string } | null;

function edited(body: Buffer, edit: Edit): Buffer {
  if (!edit) return body;
  const at = edit.at % (body.length + 1);
  const insert = Buffer.from(edit.insert, 'latin1');
  return Buffer.concat([body.subarray(0, at), insert, body.subarray(at + edit.remove)]);
}

/** Odd multipart bodies in complete requests. */
export function multipartCases({ base }: Images): fc.Arbitrary<FuzzCase> {
  const contents = fc.oneof(
    { weight: 4, arbitrary: goodImages(base) },
    fc.constant(Buffer.alloc(0)),
    oddTexts.map((text) => Buffer.from(text)),
    webhookUrls.map((url) => Buffer.from(url)),
  );
  return fc
    .record({
      parts: fc.oneof(
        { weight: 9, arbitrary: fc.array(fc.tuple(partHeads, contents), { maxLength: 4 }) },
        {
          weight: 1,
          arbitrary: fc.tuple(partHeads, contents).map((p) => Array<Part>(1100).fill(p)),
        },
      ),
      boundary: boundaries,
      edit: bodyEdits,
      headers: oddHeaders,
      framing: framings,
      type: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, contentTypes),
    })
    .map(({ parts, boundary, edit, headers, framing, type }) => {
      const encoded = multipartOf(parts.slice(0, limitParts(parts)), boundary);
      const given: HeaderField = type === undefined ? encoded.type : ['Content-Type', type];
      const body = compress(edited(encoded.body, edit), headers);
      return checkCase('multipart', { headers: withAuth([given, ...headers]), body, framing });
    });
}

/** Keeps a body below a megabyte. */
function limitParts(parts: Part[]): number {
  const longest = Math.max(1, ...parts.map(([head, body]) => head.length + body.length));
  return Math.max(1, Math.floor(1e6 / longest));
}

const contentTypes = fc.oneof(
  fc.constantFrom(
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary="x',
    'multipart/form-data; boundary=x; boundary=y',
    'multipart/form-data; charset=utf-7; boundary=x',
    'multipart/mixed; boundary=x',
    'application/json',
    'application/json; charset=utf-16',
    'application/json; charset=x',
    'application/vnd.x+json',
    'application/x-www-form-urlencoded',
    'image/jpeg',
    'text/plain',
    ';',
    '/',
    '',
  ),
  headerValues,
);

/** As the header declares, if it declares something that exists. */
function compress(body: Buffer, headers: HeaderField[]): Buffer {
  const encoding = headers.find(([name]) => name === 'Content-Encoding')?.[1];
  // Half of the lengths stay uncompressed, which is a lie of the header.
  if (body.length % 2 === 0) return body;
  if (encoding === 'gzip') return gzipSync(body);
  return encoding === 'deflate' ? deflateSync(body) : body;
}

/** No other machine may be called from a test: addresses of this one, private ones, no names. */
export const webhookUrls = fc
  .record({
    scheme: fc.constantFrom(
      'http://',
      'https://',
      'HTTP://',
      'ftp://',
      'file://',
      'http:',
      '//',
      '',
    ),
    host: fc.constantFrom(
      '127.0.0.1',
      '127.1',
      '0x7f000001',
      '2130706433',
      '0177.0.0.1',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '169.254.169.254',
      '10.0.0.1',
      '0.0.0.0',
      'a@127.0.0.1',
      'a:b@[::1]',
      '[::1',
      '',
    ),
    rest: fc.oneof(fc.constantFrom('', '/', ':0/', ':65536/', ':1/x?y#z', '\\x'), oddTexts),
  })
  .map(({ scheme, host, rest }) => `${scheme}${host}${rest}`)
  .filter(isLocal);

function isLocal(text: string): boolean {
  if (!URL.canParse(text)) return true;
  return isIP(new URL(text).hostname.replaceAll(/[[\]]/g, '')) !== 0;
}

/** Values for the member `image`. */
function base64Texts({ base }: Images): fc.Arbitrary<unknown> {
  const good = goodImages(base).map((image) => image.toString('base64'));
  return fc.oneof(
    good,
    goodImages(base).map((image) => image.toString('base64url')),
    good.map((text) => `data:image/jpeg;base64,${text}`),
    good.map((text) => `\ufeff  ${text.replaceAll(/(.{76})/g, '$1\r\n')}\n`),
    fc
      .record({ text: good, at: fc.nat(5000), noise: oddTexts })
      .map(({ text, at, noise }) => text.slice(0, at) + noise + text.slice(at)),
    good.map((text) => text.slice(0, -3)),
    good.map((text) => `data:${'x'.repeat(250)};base64,${text}`),
    oddTexts,
    fc.constantFrom('====', 'A', 'AA==AA==', 'data:;base64,', '\u0000', 'Ａ'.repeat(100)),
    fc.jsonValue(),
  );
}

/** Odd JSON in complete requests. */
export function jsonCases(images: Images): fc.Arbitrary<FuzzCase> {
  const members = fc.record(
    {
      image: base64Texts(images),
      webhook_url: fc.oneof(webhookUrls, fc.jsonValue()),
      ['__proto__']: fc.jsonValue(),
      extra: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  const texts = fc.oneof(
    { weight: 6, arbitrary: members.map((value) => JSON.stringify(value)) },
    fc.jsonValue().map((value) => JSON.stringify(value)),
    oddTexts,
    fc.constantFrom(
      '',
      '{',
      '[]',
      'null',
      '{"image":"AAAA","image":"BBBB"}',
      '{"image":"\\ud800"}',
      '{"image":1e400}',
      '['.repeat(60_000),
      '['.repeat(200_000),
      '{"a":'.repeat(10_000),
      `{"image":"${'\\u0041'.repeat(20_000)}"}`,
      `{"image":"${'\\\\'.repeat(100_000)}"}`,
      `{"image":"${'"'.repeat(50_000)}`,
      `{${'"a":1,'.repeat(9000)}"image":""}`,
    ),
  );
  return fc
    .record({
      text: texts,
      edit: bodyEdits,
      headers: oddHeaders,
      framing: framings,
      bom: fc.boolean(),
    })
    .map(({ text, edit, headers, framing, bom }) => {
      const plain = Buffer.from(bom ? `\ufeff${text}` : text);
      const body = compress(edited(plain, edit), headers);
      const fields = withAuth([['Content-Type', 'application/json'], ...headers]);
      return checkCase('json', { headers: fields, body, framing });
    });
}
