// Cut points of three levels, chosen by the share of bona fide images that each may refuse.
import { lowestStep, type Ranked, sweep } from './score-curve.js';

export const levels = ['soft', 'regular', 'hardened'] as const;
export type Level = (typeof levels)[number];

/** The largest BPCER at each cut point, as a multiple of the target. */
export const bpcerOfTarget: Record<Level, { moderate: number; high: number }> = {
  soft: { moderate: 1, high: 0.2 },
  regular: { moderate: 2, high: 1 },
  hardened: { moderate: 4, high: 2 },
};

export type Cut = 'moderate' | 'high';
export type CutPointSet = Record<Level, Record<Cut, number>>;

/** The lowest cut points that keep the BPCER of each level on these presentations. */
export function proposeCutPoints(
  ranked: Ranked,
  targetBpcer: number,
  weights: ArrayLike<number> = new Float64Array(ranked.presentations.length).fill(1),
): CutPointSet {
  const curve = sweep(ranked, weights);
  const at = (share: number) =>
    cutBelow(ranked, lowestStep(curve, Math.min(share * targetBpcer, 1)));
  return mapLevels((level) => ({
    moderate: at(bpcerOfTarget[level].moderate),
    high: at(bpcerOfTarget[level].high),
  }));
}

export function mapLevels<Value>(toValue: (level: Level) => Value): Record<Level, Value> {
  const entries = levels.map((level) => [level, toValue(level)]);
  return Object.fromEntries(entries) as Record<Level, Value>;
}

/** Half-way between two neighbouring scores, so that the choice depends on neither one exactly. */
function cutBelow({ thresholds }: Ranked, step: number): number {
  const below = thresholds[step - 1] ?? 0;
  const above = Math.min(thresholds[step]!, 1);
  return Math.round(((below + above) / 2) * 1e5) / 1e5;
}
