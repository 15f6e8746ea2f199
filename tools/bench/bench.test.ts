import { expect, test } from 'vitest';
import { describeFigures, formatNumber } from './bench.js';

test('describeFigures says whether each figure reached its aim', () => {
  const table = describeFigures([
    { name: 'share', value: 0.95, unit: '', aim: { atLeast: 0.95 } },
    { name: 'gap', value: 4.1, unit: 'ms', aim: { atMost: 4 } },
    { name: 'rate', value: 1234.5, unit: 'jobs/s' },
  ]);
  expect(table.split('\n').map((line) => line.trim().split(/\s{2,}/))).toEqual([
    ['figure', 'value', 'unit', 'aim'],
    ['share', '0.95', '>= 0.95', 'reached'],
    ['gap', '4.1', 'ms', '<= 4', 'missed'],
    ['rate', '1235', 'jobs/s'],
  ]);
});

test('formatNumber keeps three significant digits', () => {
  expect([0.012345, 1.005, 99.96, 100.4].map(formatNumber)).toEqual(['0.0123', '1', '100', '100']);
});
