import * as fc from 'fast-check';
import { bodyEdits, compress, edited, multipartOf, type Part } from './bodies.js';
import { goodImages, hostileImages, type Images } from './images.js';
import {
  checkCase,
  framings,
  type FuzzCase,
  type HeaderField,
  headerValues,
  oddHeaders,
  oddTexts,
  withAuth,
} from './requests.js';
import { webhookUrls } from './webhook-urls.js';

/** Hostile image bytes in a good request. */
export function imageCases(images: Images): fc.Arbitrary<FuzzCase> {
  return fc
    .record({ image: hostileImages(images), framing: framings })
    .map(({ image, framing }) => {
      const { type, body } = multipartOf([[filePart, image]]);
      return checkCase('image', { headers: withAuth([type]), body, framing });
    });
}

const filePart = 'Content-Disposition: form-data; name="image"; filename="blob"';

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
