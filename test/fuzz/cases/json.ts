import * as fc from 'fast-check';
import { bodyEdits, compress, edited } from './bodies.js';
import { goodImages, type Images } from './images.js';
import { checkCase, framings, type FuzzCase, oddHeaders, oddTexts, withAuth } from './requests.js';
import { webhookUrls } from './webhook-urls.js';

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
