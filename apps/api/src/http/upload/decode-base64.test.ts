import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBase64 } from './read-json.js';

const space = fc.constantFrom('', '', '', ' ', '\n', '\r\n', '\t \f\v');

function isRefused(text: string): boolean {
  try {
    decodeBase64(text);
    return false;
  } catch {
    return true;
  }
}

describe('decodeBase64', () => {
  it('decodes base64 and base64url with any padding, white space, byte order mark or data: prefix', () => {
    const written = fc.record({
      mark: fc.constantFrom('', '\uFEFF'),
      prefix: fc.constantFrom('', 'data:;base64,', 'DATA:image/png;charset=utf-8;Base64,'),
      isPadded: fc.boolean(),
      alphabet: fc.constantFrom('base64' as const, 'base64url' as const),
    });
    fc.assert(
      fc.property(fc.uint8Array(), written, fc.infiniteStream(space), (bytes, how, spaces) => {
        const digits = Buffer.from(bytes).toString(how.alphabet).replaceAll('=', '');
        const padding = how.isPadded ? '='.repeat((4 - (digits.length % 4)) % 4) : '';
        const spaced = Array.from(digits + padding, (char) => char + spaces.next().value).join('');
        const text = how.mark + spaces.next().value + how.prefix + spaces.next().value + spaced;
        expect(Buffer.from(decodeBase64(text)).equals(bytes)).toBe(true);
      }),
    );
  });

  it.each(['AA===', 'AA= = =', 'AA==\n=', 'AA= ==', 'AA=A', 'A'])('refuses %j', (text) => {
    expect(isRefused(text)).toBe(true);
  });

  it('refuses exactly the texts that a simpler, slower reader refuses', () => {
    const piece = fc.constantFrom('A', '/', '+', '9', '=', ' ', '\n', '-', '\u00a0', '\u2041', ',');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const compact = pieces.join('').trimStart().replaceAll(/[ \n]/g, '');
        const [digits = ''] = /^[A-Za-z0-9+/-]*/.exec(compact) ?? [];
        const isValid = /^={0,2}$/.test(compact.slice(digits.length)) && digits.length % 4 !== 1;
        expect(isRefused(pieces.join(''))).toBe(!isValid);
      }),
      { numRuns: 2000 },
    );
  });
});
