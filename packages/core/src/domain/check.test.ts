import { describe, expect, it } from 'vitest';
import { canMove, type CheckStatus, isFinished, statusOf } from './check.js';

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
