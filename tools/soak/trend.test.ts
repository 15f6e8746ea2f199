import { describe, expect, it } from 'vitest';
import { findTrend } from './trend.js';

const allowance = { share: 0.1, amount: 2 };
/** Noise that is always the same. */
const noise = (i: number) => Math.sin(7 * i + 1);
const series = (valueAt: (i: number) => number) => Array.from({ length: 40 }, (_, i) => valueAt(i));

describe('the trend of a measure', () => {
  it('is flat for noise around a level, with an outlier', () => {
    const values = series((i) => (i === 30 ? 400 : 100 + 3 * noise(i)));
    const { isFlat, level, growth } = findTrend(values, allowance);
    expect(isFlat).toBe(true);
    expect(level).toBeCloseTo(100, -1);
    expect(Math.abs(growth)).toBeLessThan(3);
  });

  it('is a leak for a slow growth below the noise', () => {
    const { isFlat, growth } = findTrend(
      series((i) => 100 + 0.5 * i + 5 * noise(i)),
      allowance,
    );
    expect(isFlat).toBe(false);
    expect(growth).toBeCloseTo(19.5, -1);
  });

  it('is flat where the growth is below the amount, however small the level is', () => {
    expect(findTrend([0, 0, 1, 1, 2], allowance).isFlat).toBe(true);
    expect(findTrend([0, 1, 2, 3, 4], allowance)).toMatchObject({ growth: 4, isFlat: false });
  });

  it('is flat for a measure that shrinks, and for a single sample', () => {
    expect(findTrend([9, 5, 1], allowance).isFlat).toBe(true);
    expect(findTrend([9], allowance)).toMatchObject({ level: 9, growth: 0, isFlat: true });
  });
});
