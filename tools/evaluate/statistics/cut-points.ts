// Cut points of three levels, chosen by the share of bona fide images that each may refuse.
import {
  type CutPointLevel,
  cutPointLevels,
  type CutPointSets,
} from '@livegate/worker/models/calibration';
import { lowestStep, type Ranked, sweep } from './score-curve.js';

/** The largest BPCER at each cut point, as a multiple of the target. */
export const bpcerOfTarget: Record<CutPointLevel, { moderate: number; high: number }> = {
  soft: { moderate: 1, high: 0.2 },
  regular: { moderate: 2, high: 1 },
  hardened: { moderate: 4, high: 2 },
};

export type Cut = 'moderate' | 'high';

/** The lowest cut points that keep the BPCER of each level on these presentations. */
export function proposeCutPoints(
  ranked: Ranked,
  targetBpcer: number,
  weights: ArrayLike<number> = new Float64Array(ranked.presentations.length).fill(1),
): CutPointSets {
  const curve = sweep(ranked, weights);
  const at = (share: number) =>
    cutBelow(ranked, lowestStep(curve, Math.min(share * targetBpcer, 1)));
  return mapLevels((level) => ({
    moderate: at(bpcerOfTarget[level].moderate),
    high: at(bpcerOfTarget[level].high),
  }));
}

export function mapLevels<Value>(
  toValue: (level: CutPointLevel) => Value,
): Record<CutPointLevel, Value> {
  const entries = cutPointLevels.map((level) => [level, toValue(level)]);
  return Object.fromEntries(entries) as Record<CutPointLevel, Value>;
}

/** Half-way between two neighbouring scores, so that the choice depends on neither one exactly. */
function cutBelow({ thresholds }: Ranked, step: number): number {
  const below = thresholds[step - 1] ?? 0;
  const above = Math.min(thresholds[step]!, 1);
  return Math.round(((below + above) / 2) * 1e5) / 1e5;
}
