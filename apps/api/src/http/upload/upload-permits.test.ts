import { createLeases } from '@livegate/core/domain';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createUploadPermits } from './upload-permits.js';

const overloaded = expect.objectContaining({ code: 'overloaded' });

test('grants upload permits up to the limit, refuses more, and grants again after a release', () => {
  const leases = createLeases();
  const permits = createUploadPermits(100, leases);
  const first = permits.take(60, 'a');
  expect(() => permits.take(41, 'b')).toThrow(overloaded);
  permits.take(40, 'b');
  expect(permits.bytesInFlight).toBe(100);
  expect(leases.held().upload_permit).toBe(2);
  first.release();
  expect(permits.bytesInFlight).toBe(40);
  expect(leases.held().upload_permit).toBe(1);
});

test('an upload permit can shrink but not grow, and its bytes are released once', () => {
  const permits = createUploadPermits(100, createLeases());
  const permit = permits.take(60, 'a');
  permit.shrinkTo(10);
  permit.shrinkTo(90);
  expect(permits.bytesInFlight).toBe(10);
  permit.release();
  permit.release();
  expect(permits.bytesInFlight).toBe(0);
});

test('a tenant that takes all it can get leaves room for the first uploads of others', () => {
  const permits = createUploadPermits(100, createLeases());
  for (let n = 0; n < 5; n++) permits.take(10, 'flood');
  const detail = '50 of 100 upload bytes are in flight, 50 of them of this tenant';
  expect(() => permits.take(10, 'flood')).toThrow(
    expect.objectContaining({ code: 'overloaded', detail }),
  );
  for (const tenant of ['a', 'b', 'c']) permits.take(10, tenant);
  expect(permits.bytesInFlight).toBe(80);
});

test('a tenant gets its whole share back after its uploads have ended', () => {
  const permits = createUploadPermits(100, createLeases());
  const held = Array.from({ length: 5 }, () => permits.take(10, 'a'));
  for (const permit of held) permit.release();
  for (let n = 0; n < 5; n++) permits.take(10, 'a');
  expect(() => permits.take(10, 'a')).toThrow(overloaded);
});

test('no order of uploads reserves more than the limit, or refuses a first upload that fits', () => {
  const step = fc.record({
    tenant: fc.constantFrom('a', 'b', 'c'),
    bytes: fc.integer({ min: 1, max: 60 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const permits = createUploadPermits(100, createLeases());
      const served = new Set<string>();
      for (const { tenant, bytes } of steps) {
        const mustFit = !served.has(tenant) && permits.bytesInFlight + bytes <= 100;
        const before = permits.bytesInFlight;
        const isTaken = takes(() => permits.take(bytes, tenant));
        if (isTaken) served.add(tenant);
        expect(isTaken || !mustFit).toBe(true);
        expect(permits.bytesInFlight).toBe(isTaken ? before + bytes : before);
        expect(permits.bytesInFlight).toBeLessThanOrEqual(100);
      }
    }),
  );
});

function takes(take: () => unknown): boolean {
  try {
    take();
    return true;
  } catch {
    return false;
  }
}
