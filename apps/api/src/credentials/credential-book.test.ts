import { expect, test } from 'vitest';
import { developmentCredential, findWeight, isExpired } from './credential-book.js';

test('a tenant has the highest weight of its credentials, and 1 without any', () => {
  const credentials = [
    { ...developmentCredential, tenant: 'acme' },
    { ...developmentCredential, tenant: 'acme', weight: 3 },
    { ...developmentCredential, tenant: 'acme', weight: 2 },
    { ...developmentCredential, tenant: 'globex', weight: 9 },
    { ...developmentCredential, tenant: 'initech' },
  ];
  const weights = ['acme', 'globex', 'initech', 'nobody'].map((name) =>
    findWeight(credentials, name),
  );
  expect(weights).toEqual([3, 9, 1, 1]);
});

test('a credential expires at its time, and never without one', () => {
  const credential = { ...developmentCredential, not_after: '2026-11-27T00:00:00.001Z' };
  const midnight = Date.UTC(2026, 10, 27);
  expect(isExpired(credential, midnight)).toBe(false);
  expect(isExpired(credential, midnight + 1)).toBe(true);
  expect(isExpired(developmentCredential, midnight)).toBe(false);
  expect(isExpired(undefined, midnight)).toBe(false);
});
