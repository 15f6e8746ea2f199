import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJsonBody } from './read-json.js';

const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/);

/** JSON string literals with every kind of escape, some of them long. */
const literal = fc
  .tuple(
    fc.array(
      fc.oneof(
        fc.constantFrom(
          '\\"',
          '\\\\',
          '\\/',
          '\\n',
          '\\u0022',
          '\\u005c',
          '\\ud83d\\ude00',
          '[',
          ',',
        ),
        fc.string({ maxLength: 5, unit: 'binary' }).map((s) => JSON.stringify(s).slice(1, -1)),
      ),
      { maxLength: 6 },
    ),
    fc.constantFrom(1, 1, 500),
  )
  .map(([pieces, times]) => `"${pieces.join('').repeat(times)}"`);

/** JSON texts with white space anywhere, and keys in any order and repeated. */
const { jsonText } = fc.letrec<{ jsonText: string; member: string }>((tie) => ({
  member: fc
    .tuple(
      space,
      fc.oneof(literal, fc.constantFrom('"image"', '"\\u0069mage"')),
      space,
      tie('jsonText'),
    )
    .map(([before, key, after, value]) => `${before}${key}${after}:${value}`),
  jsonText: fc
    .tuple(
      space,
      fc.oneof(
        { maxDepth: 4, depthSize: 'small' },
        literal,
        fc.constantFrom('0', '-1.5e+9', 'true', 'null', '[]', '{}'),
        fc.array(tie('jsonText'), { maxLength: 4 }).map((items) => `[${items.join(',')}]`),
        fc.array(tie('member'), { maxLength: 4 }).map((members) => `{${members.join(',')}}`),
      ),
      space,
    )
    .map((parts) => parts.join('')),
}));

function outcomeOf(parse: (text: string) => unknown, text: string): unknown {
  try {
    return { value: parse(text) };
  } catch {
    return 'refused';
  }
}

describe('parseJsonBody', () => {
  it('accepts what JSON.parse accepts, with the same value', () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        expect(outcomeOf(parseJsonBody, text)).toEqual({ value: JSON.parse(text) as unknown });
      }),
    );
  });

  it('refuses what JSON.parse refuses', () => {
    fc.assert(
      fc.property(jsonText, fc.nat(), fc.nat({ max: 3 }), (text, at, count) => {
        const start = at % text.length;
        const broken = text.slice(0, start) + text.slice(start + count);
        expect(outcomeOf(parseJsonBody, broken)).toEqual(outcomeOf(JSON.parse, broken));
      }),
    );
  });

  it('limits everything except long strings to 64 KiB', () => {
    const surroundings = '{"image":"","extra":[]}'.length;
    fc.assert(
      fc.property(fc.integer({ min: -3, max: 3 }), fc.nat({ max: 3 }), (beyond, escapes) => {
        const image = '\\"'.repeat(escapes) + 'A'.repeat(100_000);
        const extra = ' '.repeat(64 * 1024 - (surroundings - '""'.length) + beyond);
        const text = `{"image":"${image}","extra":[${extra}]}`;
        const expected = beyond > 0 ? 'refused' : { value: JSON.parse(text) as unknown };
        expect(outcomeOf(parseJsonBody, text)).toEqual(expected);
      }),
    );
  });

  it('throws invalid_json for malformed text', () => {
    for (const text of ['', '{', '"', '"\\', '['.repeat(100_000)]) {
      expect(() => parseJsonBody(text)).toThrow(expect.objectContaining({ code: 'invalid_json' }));
    }
    const error = expect.objectContaining({ cause: expect.any(SyntaxError) });
    expect(() => parseJsonBody('{')).toThrow(error);
  });
});
