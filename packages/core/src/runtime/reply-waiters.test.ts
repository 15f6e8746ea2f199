import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { createLeases } from '../domain/operation/leases.js';
import { createReplyWaiters } from './reply-waiters.js';

// Node exposes the garbage collector only with this flag.
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function usedBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

it('reply waiters keep no reference to a waiter that was released without a reply', () => {
  const waiters = createReplyWaiters(createLeases());
  const before = usedBytes();
  for (let i = 0; i < 5000; i++) {
    const id = Buffer.alloc(10_000, `${i}.`).toString('latin1');
    waiters.expect(id).release();
  }
  const kept = usedBytes() - before;
  // The reference prevents an earlier collection.
  waiters.deliver('other', { error: 'internal_error' });
  expect(kept).toBeLessThan(10e6);
});
