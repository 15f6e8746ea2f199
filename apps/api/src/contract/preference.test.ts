import type { Request } from 'express';
import { describe, expect, it } from 'vitest';
import { presentPreference, readPreference } from './preference.js';

function read(prefer: string | undefined) {
  return readPreference({ get: () => prefer } as unknown as Request, 25_000);
}

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
  ])('is read and presented: %s', (prefer, preference, applied) => {
    expect(read(prefer)).toEqual(preference);
    expect(presentPreference(read(prefer))).toBe(applied);
  });
});
