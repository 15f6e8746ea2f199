import { expect, it } from 'vitest';
import { createLeases } from './leases.js';

it('a lease is held until it is released, and its release runs once', () => {
  const leases = createLeases();
  const nothing = leases.held();
  let releases = 0;
  const lease = leases.take('parser', () => (releases += 1));
  const other = leases.take('parser');
  expect(leases.held()).toEqual({ ...nothing, parser: 2 });
  lease.release();
  lease.release();
  expect(leases.held()).toEqual({ ...nothing, parser: 1 });
  expect(releases).toBe(1);
  other.release();
  expect(leases.held()).toEqual(nothing);
});

it('the end of a block releases its lease', () => {
  const leases = createLeases();
  {
    using lease = leases.take('parser');
    expect([lease, leases.held().parser]).toEqual([lease, 1]);
  }
  expect(leases.held().parser).toBe(0);
});
