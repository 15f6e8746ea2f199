import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { createLeases } from '../domain/leases.js';
import { createReplyWaiters } from './reply-waiters.js';

// Node offers the collector only on demand.
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function usedBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

it('keeps nothing of a waiter that was released without a reply', () => {
  const waiters = createReplyWaiters(createLeases());
  const before = usedBytes();
  for (let i = 0; i < 5000; i++) {
    const id = Buffer.alloc(10_000, `${i}.`).toString('latin1');
    waiters.expect(id).release();
  }
  const kept = usedBytes() - before;
  // Not collected before here.
  waiters.deliver('other', { error: 'internal_error' });
  expect(kept).toBeLessThan(10e6);
});
