/** How much a measure may grow over a run: the larger of a share of its level and an amount. */
export interface Allowance {
  share: number;
  amount: number;
}

export interface Trend {
  /** The median of the values. */
  level: number;
  /** Growth from the first sample to the last, along the line of the typical slope. */
  growth: number;
  most: number;
  isFlat: boolean;
}

/**
 * The slope is the median of the slopes between all pairs of samples (Theil and Sen), which a few
 * outliers do not change. A value that shrinks does not leak.
 */
export function findTrend(values: number[], { share, amount }: Allowance): Trend {
  const level = median(values);
  const slopes = values.flatMap((later, i) =>
    values.slice(0, i).map((earlier, j) => (later - earlier) / (i - j)),
  );
  const growth = slopes.length === 0 ? 0 : median(slopes) * (values.length - 1);
  const most = Math.max(share * level, amount);
  return { level, growth, most, isFlat: growth <= most };
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
}
