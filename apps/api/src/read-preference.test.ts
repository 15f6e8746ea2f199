import type { Request } from 'express';
import { describe, expect, it } from 'vitest';
import { readPreference } from './read-preference.js';

function read(prefer: string | undefined) {
  return readPreference({ get: () => prefer } as unknown as Request, 25_000);
}

describe('readPreference', () => {
  it.each([
    [undefined, false, 25_000, ''],
    ['wait=3', false, 3000, 'wait=3'],
    ['wait=0', false, 0, 'wait=0'],
    ['wait=3600', false, 25_000, 'wait=25'],
    ['respond-async', true, 0, 'respond-async'],
    ['respond-async, wait=5', true, 5000, 'respond-async, wait=5'],
    ['wait=5,respond-async', true, 5000, 'respond-async, wait=5'],
    ['Respond-Async; foo=bar, Wait = "7"', true, 7000, 'respond-async, wait=7'],
    ['wait=1, wait=9', false, 1000, 'wait=1'],
    ['wait=-1', false, 25_000, ''],
    ['wait=soon', false, 25_000, ''],
    ['return=minimal', false, 25_000, ''],
    ['respond-asynchronously', false, 25_000, ''],
  ])('%s', (prefer, respondAsync, waitMs, applied) => {
    expect(read(prefer)).toEqual({ respondAsync, waitMs, applied });
  });
});
