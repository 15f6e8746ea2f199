import { describe, expect, test } from 'vitest';
import { isInstallCurrent } from './install-dependencies.mjs';

const wanted = {
  '': { version: '0.1.0' },
  'node_modules/express': { version: '5.3.0' },
  'node_modules/fsevents': { version: '2.3.3', optional: true },
};

describe('an install is current', () => {
  test('when every package is installed in its version', () => {
    expect(isInstallCurrent(wanted, wanted)).toBe(true);
  });

  test('when only a binary for another platform is missing', () => {
    expect(isInstallCurrent(wanted, { 'node_modules/express': { version: '5.3.0' } })).toBe(true);
  });
});

describe('an install is stale', () => {
  test('when nothing is installed or the installation was interrupted', () => {
    expect(isInstallCurrent(wanted, {})).toBe(false);
  });

  test('when a package has another version', () => {
    expect(isInstallCurrent(wanted, { 'node_modules/express': { version: '4.0.0' } })).toBe(false);
  });

  test('when an optional package has another version', () => {
    const installed = { ...wanted, 'node_modules/fsevents': { version: '1.0.0', optional: true } };
    expect(isInstallCurrent(wanted, installed)).toBe(false);
  });
});
