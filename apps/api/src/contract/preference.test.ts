import type { Request } from 'express';
import { describe, expect, it } from 'vitest';
import {
  presentPreference,
  readIdempotencyKey,
  readPreference,
  readQualityPolicy,
  waitOf,
} from './preference.js';

/** A request with this one header. */
function requestWith(header: string, value: string | undefined): Request {
  const get = (name: string) => (name.toLowerCase() === header ? value : undefined);
  return { get } as unknown as Request;
}

const read = (prefer: string | undefined) => readPreference(requestWith('prefer', prefer), 25_000);

describe('the Prefer header', () => {
  it.each([
    [undefined, { respondAsync: false }, undefined],
    ['wait=3', { respondAsync: false, waitMs: 3000 }, 'wait=3'],
    ['wait=0', { respondAsync: false, waitMs: 0 }, 'wait=0'],
    ['wait=3600', { respondAsync: false, waitMs: 25_000 }, 'wait=25'],
    ['respond-async', { respondAsync: true }, 'respond-async'],
    ['respond-async, wait=5', { respondAsync: true, waitMs: 5000 }, 'respond-async, wait=5'],
    ['wait=5,respond-async', { respondAsync: true, waitMs: 5000 }, 'respond-async, wait=5'],
    [
      'Respond-Async; a=b, Wait = "7"',
      { respondAsync: true, waitMs: 7000 },
      'respond-async, wait=7',
    ],
    ['wait=1, wait=9', { respondAsync: false, waitMs: 1000 }, 'wait=1'],
    ['wait=-1', { respondAsync: false }, undefined],
    ['wait=soon', { respondAsync: false }, undefined],
    ['return=minimal', { respondAsync: false }, undefined],
    ['respond-asynchronously', { respondAsync: false }, undefined],
    ['no-respond-async', { respondAsync: false }, undefined],
    ['respond-async x', { respondAsync: false }, undefined],
    ['await=3', { respondAsync: false }, undefined],
    ['wait=3 s', { respondAsync: false }, undefined],
    ['wait=3; a=b', { respondAsync: false, waitMs: 3000 }, 'wait=3'],
    ['wait = 3 , respond-async ; a', { respondAsync: true, waitMs: 3000 }, 'respond-async, wait=3'],
    ['wait=1000000000', { respondAsync: false }, undefined],
  ])('is read and presented: %s', (prefer, preference, applied) => {
    expect(read(prefer)).toEqual(preference);
    expect(presentPreference(read(prefer))).toBe(applied);
  });
});

describe('a caller waits', () => {
  it('as long as it prefers, however it is answered', () => {
    expect(waitOf({ respondAsync: false, waitMs: 0 }, 25_000)).toBe(0);
    expect(waitOf({ respondAsync: true, waitMs: 3000 }, 25_000)).toBe(3000);
  });

  it('for the limit without a preference, and not at all for a job', () => {
    expect(waitOf({ respondAsync: false }, 25_000)).toBe(25_000);
    expect(waitOf({ respondAsync: true }, 25_000)).toBe(0);
  });
});

describe('the Livegate-Quality header', () => {
  const policyOf = (value: string | undefined, ofCredential?: 'report' | 'enforce') =>
    readQualityPolicy(requestWith('livegate-quality', value), ofCredential);

  it('names a policy, in any case', () => {
    expect(policyOf(undefined)).toBe('header');
    expect(policyOf('report')).toBe('report');
    expect(policyOf(' Enforce ')).toBe('enforce');
  });

  it('cannot weaken what the credential demands', () => {
    expect(policyOf('header', 'enforce')).toBe('enforce');
    expect(policyOf(undefined, 'report')).toBe('report');
    expect(policyOf('enforce', 'report')).toBe('enforce');
  });

  it.each(['', 'enforced', 'header, report'])('is refused with another value: %j', (value) => {
    expect(() => policyOf(value)).toThrow(
      expect.objectContaining({ code: 'invalid_quality_policy' }),
    );
  });
});

describe('the Idempotency-Key', () => {
  const keyOf = (value: string | undefined) =>
    readIdempotencyKey(requestWith('idempotency-key', value));

  it.each([
    [undefined, undefined],
    ['k', 'k'],
    ['"k"', 'k'],
    ['"', '"'],
    ['a"b"', 'a"b"'],
    ['"a"b', '"a"b'],
    ['!~', '!~'],
    ['k'.repeat(255), 'k'.repeat(255)],
    [`"${'k'.repeat(255)}"`, 'k'.repeat(255)],
  ])('%j is read as %j', (value, key) => {
    expect(keyOf(value)).toBe(key);
  });

  it.each(['', '""', 'a b', '" "', 'k\u007f', '\u00e9', 'k'.repeat(256)])(
    'is refused: %j',
    (value) => {
      expect(() => keyOf(value)).toThrow(
        expect.objectContaining({ code: 'invalid_idempotency_key' }),
      );
    },
  );
});
