import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBase64 } from './decode-base64.js';

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
  it('gives back the bytes, whatever white space, padding or prefix there is', () => {
    const prefix = fc.constantFrom('', 'data:;base64,', 'DATA:image/png;charset=utf-8;Base64,');
    fc.assert(
      fc.property(fc.uint8Array(), fc.boolean(), prefix, fc.infiniteStream(space), (...given) => {
        const [bytes, isPadded, start, spaces] = given;
        const padded = Buffer.from(bytes).toString('base64');
        const chars = isPadded ? padded : padded.replaceAll('=', '');
        const text = Array.from(chars, (char) => char + spaces.next().value).join('');
        expect(Buffer.from(decodeBase64(start + text)).equals(bytes)).toBe(true);
      }),
    );
  });

  it('refuses what a simple reading refuses', () => {
    const piece = fc.constantFrom('A', '/', '+', '9', '=', ' ', '\n', '-', '\u00a0', '\u2041', ',');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const compact = pieces.join('').replaceAll(/[ \n]/g, '');
        const [digits = ''] = /^[A-Za-z0-9+/]*/.exec(compact) ?? [];
        const isValid = /^={0,2}$/.test(compact.slice(digits.length)) && digits.length % 4 !== 1;
        expect(isRefused(pieces.join(''))).toBe(!isValid);
      }),
      { numRuns: 2000 },
    );
  });
});
