import * as fc from 'fast-check';
import { goodImages, type Images } from './images.js';
import {
  auth,
  encodeRequest,
  type FuzzCase,
  headerValues,
  oddTexts,
  sometimes,
} from './requests.js';

/** HTTP that is broken or ambiguous; answers, if any, are JSON, and the connection ends. */
export function framingCases(images: Images): fc.Arbitrary<FuzzCase> {
  return fc.oneof(smuggling, edited(images), oddHeads, noise);
}

const path = '/face/v1/passive-liveness';
const credentials = auth.map(([name, value]) => `${name}: ${value}\r\n`).join('');
const hidden = 'GET /v1/jobs/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n';
const json = '{"image":"AAAA"}';

const asCase =
  (label: string) =>
  (text: string): FuzzCase => ({ label, bytes: Buffer.from(text, 'latin1'), isWhole: false });

const headLines = fc.constantFrom(
  'Content-Length: 16',
  'Content-Length: 0',
  'Content-Length: 16, 16',
  'Content-Length: +16',
  'Content-Length: 0x10',
  'Content-Length: -1',
  'Content-Length: 1e1',
  'Content-Length: 99999999999999999999',
  'Content-Length:',
  'Content-Length : 16',
  ' Content-Length: 16',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding\r\n : chunked',
  'X: y\r\n folded: Content-Length: 5',
  'Host: other',
  'Host:',
  'Connection: close, Content-Length',
  'Expect: 100-continue',
  'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA',
);

const bodies = fc.constantFrom(
  json,
  `10\r\n${json}\r\n0\r\n\r\n`,
  `10;x=y\r\n${json}\r\n0\r\n\r\n`,
  `10;${'x'.repeat(20_000)}\r\n${json}\r\n0\r\n\r\n`,
  `10\n${json}\n0\n\n`,
  `010\r\n${json}\r\n0\r\nTrailer: ${'x'.repeat(9000)}\r\n\r\n`,
  `0\r\n\r\n${hidden}`,
  `-1\r\n${json}`,
  `ffffffffffffffff\r\n${json}`,
  `fffffffffffffffff\r\n${json}`,
  ` 10\r\n${json}\r\n0\r\n\r\n`,
  `10 \r\n${json}\r\n0\r\n\r\n`,
  `${json}${hidden}`,
  '',
);

/** Two headers that disagree about the end of the body, and another request behind it. */
const smuggling = fc
  .record({
    first: headLines,
    second: headLines,
    body: bodies,
    eol: fc.constantFrom('\r\n', '\r\n', '\r\n', '\n', '\r'),
    next: fc.constantFrom('', hidden, '\r\n', 'x'),
  })
  .map(({ first, second, body, eol, next }) => {
    const line = `POST ${path} HTTP/1.1${eol}Host: localhost\r\n${credentials}`;
    const head = `${line}Content-Type: application/json\r\n${first}${eol}${second}${eol}\r\n`;
    return head + body + next;
  })
  .map(asCase('smuggling'));

/** Good requests with a few bytes changed anywhere, also in a pipeline. */
function edited({ base }: Images): fc.Arbitrary<FuzzCase> {
  return fc
    .record({
      image: goodImages(base),
      times: fc.constantFrom(1, 1, 2, 5),
      framing: fc.constantFrom('length' as const, 'chunked' as const),
      edits: fc.array(
        fc.record({ at: fc.nat(1200), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) }),
        { minLength: 1, maxLength: 3 },
      ),
      cut: sometimes(fc.nat(3000)),
    })
    .map(({ image, times, framing, edits, cut }) => {
      const body = Buffer.from(JSON.stringify({ image: image.toString('base64') }));
      const headers = [...auth, ['Content-Type', 'application/json'] as [string, string]];
      const one = encodeRequest({ method: 'POST', target: path, headers, body, framing });
      const whole = Buffer.concat(Array<Buffer>(times).fill(one));
      const bytes = edits.reduce((now, { at, remove, insert }) => {
        const start = at % (now.length + 1);
        return Buffer.concat([now.subarray(0, start), insert, now.subarray(start + remove)]);
      }, whole);
      const kept =
        cut === null ? bytes : bytes.subarray(0, bytes.length - Math.min(cut, bytes.length));
      return { label: 'edited', bytes: kept, isWhole: false };
    });
}

/** Request lines and headers that parsers disagree about. */
const oddHeads = fc
  .record({
    method: fc.constantFrom(
      'GET',
      'POST',
      'get',
      'PRI',
      'CONNECT',
      'TRACE',
      'OPTIONS',
      'M-SEARCH',
      'PURGE',
      'X',
    ),
    target: fc.oneof(
      fc.constantFrom(
        '*',
        '/',
        '//',
        'http://[/',
        'localhost:443',
        '/%',
        '/%ff',
        '/\x7f',
        '/a b',
        '?',
      ),
      headerValues,
      fc.constant(`/${'a'.repeat(17_000)}`),
    ),
    version: fc.constantFrom('1.1', '1.1', '1.0', '0.9', '2.0', '1.12', ''),
    headers: fc.array(
      fc.oneof(
        headerValues.map((value) => `X: ${value}`),
        headerValues.map((value) => `${value}: x`),
        fc.constantFrom('Host: a', 'Host: a b', ': x', 'a', 'X:\0', 'X: \x01\x7f', 'Connection: x'),
        fc.nat(300).map((count) => 'X-Flood: y\r\n'.repeat(count * 10) + 'X: y'),
      ),
      { maxLength: 3 },
    ),
  })
  .map(({ method, target, version, headers }) =>
    [`${method} ${target} HTTP/${version}`, 'Host: localhost', ...headers, '', ''].join('\r\n'),
  )
  // A request without odd parts gets the playground.
  .map((text) => ({ ...asCase('head')(text), isPage: true }));

const noise = fc
  .oneof(
    oddTexts,
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    fc.constantFrom(
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
      '\r\n\r\n\r\n',
      'SSH-2.0-x\r\n',
      '*1\r\n$4\r\nPING\r\n',
    ),
  )
  .map(asCase('noise'));
