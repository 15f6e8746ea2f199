import { createLeases } from '@livegate/core/domain';
import { expect, test } from 'vitest';
import { createUploadPermits } from './upload-permits.js';

test('grants upload permits up to the limit, refuses more, and grants again after a release', () => {
  const permits = createUploadPermits(100, createLeases());
  const first = permits.take(60);
  expect(() => permits.take(41)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  permits.take(40);
  expect(permits.bytesInFlight).toBe(100);
  first.release();
  expect(permits.bytesInFlight).toBe(40);
});

test('an upload permit can shrink but not grow, and its bytes are released once', () => {
  const permits = createUploadPermits(100, createLeases());
  const permit = permits.take(60);
  permit.shrinkTo(10);
  permit.shrinkTo(90);
  expect(permits.bytesInFlight).toBe(10);
  permit.release();
  permit.release();
  expect(permits.bytesInFlight).toBe(0);
});
