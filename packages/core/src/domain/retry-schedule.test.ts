import { describe, expect, it } from 'vitest';
import { judgeStatus, parseRetryAfter, planRetry } from './webhook-delivery.js';

const hour = 3_600_000;

describe('the retry schedule', () => {
  it('waits 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, and then no more', () => {
    const waits = Array.from({ length: 10 }, (_, n) => planRetry({ failures: n + 1 }, 0));
    expect(waits).toEqual([
      5000,
      300_000,
      hour / 2,
      ...[2, 5, 10, 14, 20, 24].map((hours) => hours * hour),
      undefined,
    ]);
  });

  it('adds up to a tenth as jitter', () => {
    expect(planRetry({ failures: 1 }, 0.5)).toBe(5250);
    expect(planRetry({ failures: 1 }, 1)).toBe(5500);
  });

  it('is never earlier than Retry-After asks, and never later than a day for it', () => {
    expect(planRetry({ failures: 1, retryAfterMs: 60_000 }, 1)).toBe(60_000);
    expect(planRetry({ failures: 2, retryAfterMs: 60_000 }, 0)).toBe(300_000);
    expect(planRetry({ failures: 1, retryAfterMs: 1000 * hour }, 0)).toBe(24 * hour);
    expect(planRetry({ failures: 10, retryAfterMs: 60_000 }, 0)).toBeUndefined();
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');

  it.each([
    ['120', 120_000],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:02:00 GMT', 120_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    [undefined, undefined],
    ['soon', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['9999999999', undefined],
    ['Thu, 99 Jan 2026 00:02:00 GMT', undefined],
  ])('%s is %s ms', (header, expected) => {
    expect(parseRetryAfter(header, now)).toBe(expected);
  });
});

describe('an answer', () => {
  it.each([
    [200, 'accepted'],
    [204, 'accepted'],
    [299, 'accepted'],
    [199, 'retry'],
    [301, 'retry'],
    [307, 'retry'],
    [404, 'retry'],
    [410, 'gone'],
    [429, 'retry'],
    [500, 'retry'],
    [undefined, 'retry'],
  ])('of status %s means %s', (statusCode, judgement) => {
    expect(judgeStatus(statusCode)).toBe(judgement);
  });
});
