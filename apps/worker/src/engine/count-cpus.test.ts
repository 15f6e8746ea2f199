import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { countCpus } from './count-cpus.js';

const cores = availableParallelism();

test('outside of a container all cores count', () => {
  const noFile = () => {
    throw new Error('ENOENT');
  };
  expect(countCpus(noFile)).toBe(cores);
  expect(countCpus(() => 'max 100000')).toBe(cores);
});

test('a container with a limit counts whole cores of it, and at least one', () => {
  expect(countCpus(() => '50000 100000\n')).toBe(1);
  expect(countCpus(() => '199000 100000\n')).toBe(1);
  expect(countCpus(() => `${cores}00000 100000\n`)).toBe(cores);
});

test('a limit above the cores changes nothing', () => {
  expect(countCpus(() => '99900000 100000')).toBe(cores);
});
