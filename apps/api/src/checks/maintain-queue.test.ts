import type { DeletableCheck } from '@livegate/core/ports';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { maintainQueue } from './maintain-queue.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('finishes an interrupted deletion within 10 s, also after a failed attempt', async () => {
  const check: DeletableCheck = { id: 'a', tenant: 'acme' };
  const listHidden = vi.fn<() => Promise<DeletableCheck[]>>();
  listHidden.mockRejectedValueOnce(new Error('redis is away')).mockResolvedValue([check]);
  const queue = { sweep: async () => undefined, dropEvents: async () => undefined, listHidden };
  const deleted: DeletableCheck[] = [];
  const deleteCheck = async (given: DeletableCheck) => void deleted.push(given);
  const maintenance = maintainQueue({ queue, deleteCheck }, pino({ level: 'silent' }));
  onTestFinished(() => maintenance.close());
  await vi.advanceTimersByTimeAsync(10_000);
  expect(deleted).toEqual([]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(deleted).toEqual([check]);
});
