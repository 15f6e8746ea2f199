import { describe, expect, it } from 'vitest';
import { canMove, type CheckStatus, isAsyncJob, isFinished, roundMs, statusOf } from './check.js';

const statuses: CheckStatus[] = ['queued', 'processing', 'succeeded', 'failed', 'canceled'];

describe('the life of a check', () => {
  it('has only the legal status changes', () => {
    const moves = statuses.flatMap((from) =>
      statuses.filter((to) => canMove(from, to)).map((to) => `${from} > ${to}`),
    );
    expect(moves).toEqual([
      'queued > processing',
      'queued > canceled',
      'processing > queued',
      'processing > succeeded',
      'processing > failed',
      'processing > canceled',
    ]);
  });

  it('has no status change after the end', () => {
    expect(statuses.filter(isFinished)).toEqual(['succeeded', 'failed', 'canceled']);
  });

  it.each([
    ['waiting', false, 'queued'],
    ['running', false, 'processing'],
    ['completed', false, 'succeeded'],
    ['failed', false, 'failed'],
    ['waiting', true, 'canceled'],
    ['running', true, 'processing'],
    ['completed', true, 'canceled'],
    ['failed', true, 'canceled'],
  ] as const)('a %s job, canceled %s, is %s', (state, cancelRequested, status) => {
    expect(statusOf(state, cancelRequested)).toBe(status);
  });
});

it('a check shares the workers as an async one without a caller, or with one who takes a job', () => {
  const job = { version: 1, tenant: 'acme', imageBytes: 1 };
  expect(isAsyncJob(job)).toBe(true);
  expect(isAsyncJob({ ...job, replyTo: 'gateway' })).toBe(false);
  expect(isAsyncJob({ ...job, replyTo: 'gateway', isAsync: true })).toBe(true);
});

it('a time is rounded to a tenth of a millisecond', () => {
  expect([0, 12.34, 12.36].map(roundMs)).toEqual([0, 12.3, 12.4]);
});
