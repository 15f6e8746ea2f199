import { describe, expect, it } from 'vitest';
import { judgeStatus, planRetry } from './webhook-delivery.js';

const hour = 3_600_000;

describe('the retry schedule', () => {
  it('waits 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, and then gives up', () => {
    const waits = Array.from({ length: 10 }, (_, n) => planRetry({ failures: n + 1 }, 0));
    expect(waits).toEqual([
      5000,
      300_000,
      hour / 2,
      ...[2, 5, 10, 14, 20, 24].map((hours) => hours * hour),
      undefined,
    ]);
  });

  it('adds jitter of up to a tenth of the wait', () => {
    expect(planRetry({ failures: 1 }, 0.5)).toBe(5250);
    expect(planRetry({ failures: 1 }, 1)).toBe(5500);
  });

  it('waits at least as long as Retry-After asks, capped at 24 h', () => {
    expect(planRetry({ failures: 1, retryAfterMs: 60_000 }, 1)).toBe(60_000);
    expect(planRetry({ failures: 2, retryAfterMs: 60_000 }, 0)).toBe(300_000);
    expect(planRetry({ failures: 1, retryAfterMs: 1000 * hour }, 0)).toBe(24 * hour);
    expect(planRetry({ failures: 10, retryAfterMs: 60_000 }, 0)).toBeUndefined();
  });
});

describe('the answer of a webhook receiver', () => {
  it.each([
    [200, 'accepted'],
    [204, 'accepted'],
    [299, 'accepted'],
    [199, 'retry'],
    [300, 'retry'],
    [301, 'retry'],
    [307, 'retry'],
    [404, 'retry'],
    [410, 'gone'],
    [429, 'retry'],
    [500, 'retry'],
    [undefined, 'retry'],
  ])('with status %s means %s', (statusCode, judgement) => {
    expect(judgeStatus(statusCode)).toBe(judgement);
  });
});
