import { describe, expect, it } from 'vitest';
import { listSelections, readScrape } from '@livegate/testing/product/promql';

describe('listSelections', () => {
  it('finds every metric of a query with the labels it is selected and grouped by', () => {
    const query = 'sum by (route) (rate(a{outcome=~"x|y"}[5m])) / max(b) and absent(c)';
    expect(listSelections(query)).toEqual([
      { metric: 'a', labels: ['outcome', 'route'] },
      { metric: 'b', labels: [] },
      { metric: 'c', labels: [] },
    ]);
  });

  it('includes the labels of every aggregation around a metric', () => {
    const query = 'max by (x) (histogram_quantile(0.9, sum by (x, le) (rate(a_bucket[5m]))))';
    expect(listSelections(query)).toEqual([{ metric: 'a_bucket', labels: ['x', 'le', 'x'] }]);
  });

  it.each(['sum(a', 'rate(a[5m]) >', 'sum by route (a)'])(
    'throws for the invalid query %j',
    (query) => {
      expect(() => listSelections(query)).toThrow('invalid PromQL');
    },
  );
});

it('readScrape finds the labels of every metric, also with quotes and braces in their values', () => {
  const scrape = ['# TYPE a counter', String.raw`a{x="1, \"y\"=\"",z=""} 1`, 'a{w="2"} 2', 'b 3'];
  expect(readScrape(scrape.join('\n'))).toEqual(
    new Map([
      ['a', new Set(['x', 'z', 'w'])],
      ['b', new Set()],
    ]),
  );
});
