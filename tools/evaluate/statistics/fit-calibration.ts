// Calibration: from the logit of the fused P(spoof) to a probability.
//
// Both classes weigh the same in a fit, whatever their numbers, so the result is P(spoof) at even odds.
// Otherwise each source with a single class would shift the result by what it adds to that class.
import { sigmoid } from '@livegate/worker/inference/score-faces';
import type { Scaling } from '@livegate/worker/models/calibration';
import type { Label } from './score-curve.js';

export interface LabelledLogit {
  path: string;
  source: string;
  /** SHA-256 of the image, so that a copy in another source is found. */
  sha256?: string;
  label: Label;
  /** log(P / (1 - P)) of the fused, uncalibrated P(spoof). */
  logit: number;
}

export type Method = Scaling['method'];
export type Fit = (train: readonly LabelledLogit[]) => Scaling;

export const fits: Record<Method, Fit> = { platt: fitPlatt, isotonic: fitIsotonic };

/**
 * Platt scaling: logistic regression on the logit. As in Platt (1999), the targets are not 0 and 1
 * but what n images of a class can support, so that separable data give a finite slope.
 */
export function fitPlatt(train: readonly LabelledLogit[]): Scaling {
  const { attacks, bonaFides, weightOf } = requireBothClasses(train);
  const targets = { attack: (attacks + 1) / (attacks + 2), 'bona-fide': 1 / (bonaFides + 2) };
  const points = train.map(({ logit, label }) => ({
    x: logit,
    target: targets[label],
    weight: weightOf[label],
  }));
  const [slope, intercept] = minimizeLogLoss(points);
  if (slope <= 0) throw new Error('attacks do not score higher than bona fide images: no fit');
  return { method: 'platt', platt: { slope, intercept } };
}

interface Point {
  x: number;
  target: number;
  weight: number;
}

/** Newton's method with step halving: the loss is convex in both parameters. */
function minimizeLogLoss(points: readonly Point[]): [slope: number, intercept: number] {
  let at: [number, number] = [0, 0];
  for (let round = 0; round < 100; round++) {
    const step = newtonStep(points, at);
    if (Math.hypot(...step) < 1e-12) return at;
    const loss = logLoss(points, at);
    let share = 1;
    const moved = (): [number, number] => [at[0] - share * step[0], at[1] - share * step[1]];
    // Close to the minimum the loss is flat within rounding, and a full step is right.
    while (logLoss(points, moved()) > loss * (1 + 1e-12)) share /= 2;
    at = moved();
  }
  return at;
}

function newtonStep(points: readonly Point[], [slope, intercept]: [number, number]) {
  let [g0, g1, h00, h01, h11] = [0, 0, 0, 0, 0];
  for (const { x, target, weight } of points) {
    const p = sigmoid(slope * x + intercept);
    const w = weight * p * (1 - p);
    g0 += weight * (p - target) * x;
    g1 += weight * (p - target);
    h00 += w * x * x;
    h01 += w * x;
    h11 += w;
  }
  const determinant = h00 * h11 - h01 * h01;
  if (!(determinant > 0)) throw new Error('all logits are equal: there is nothing to fit');
  return [(h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant] as const;
}

function logLoss(points: readonly Point[], [slope, intercept]: [number, number]): number {
  return points.reduce((sum, { x, target, weight }) => {
    const z = slope * x + intercept;
    // log(1 + e^z) without overflow, minus the target's share.
    return sum + weight * (Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - target * z);
  }, 0);
}

/**
 * The non-decreasing step function with the least squared error (pool adjacent violators). Each end
 * of a step is a knot. Probabilities stay as far from 0 and 1 as Platt's targets do.
 */
export function fitIsotonic(train: readonly LabelledLogit[]): Scaling {
  const { attacks, bonaFides, weightOf } = requireBothClasses(train);
  const knots = poolViolators(train, weightOf);
  const [low, high] = [1 / (bonaFides + 2), (attacks + 1) / (attacks + 2)];
  const probabilities = knots.probabilities.map((p) => Math.min(Math.max(p, low), high));
  return { method: 'isotonic', isotonic: { logits: knots.logits, probabilities } };
}

interface Block {
  first: number;
  last: number;
  attacks: number;
  weight: number;
}

/** The unbounded fit, with equal logits pooled first. */
export function poolViolators(
  train: readonly Pick<LabelledLogit, 'logit' | 'label'>[],
  weightOf: Record<Label, number>,
) {
  const blocks: Block[] = [];
  for (const { logit, label } of train.toSorted((a, b) => a.logit - b.logit)) {
    const weight = weightOf[label];
    const attack = label === 'attack' ? weight : 0;
    const open = blocks.at(-1);
    if (open?.last === logit && open.first === logit) {
      open.attacks += attack;
      open.weight += weight;
    } else {
      blocks.push({ first: logit, last: logit, attacks: attack, weight });
    }
  }
  const pooled: Block[] = [];
  for (const block of blocks) {
    pooled.push(block);
    while (pooled.length > 1 && violates(pooled.at(-2)!, pooled.at(-1)!)) {
      const upper = pooled.pop()!;
      const lower = pooled.at(-1)!;
      lower.last = upper.last;
      lower.attacks += upper.attacks;
      lower.weight += upper.weight;
    }
  }
  const ends = pooled.flatMap(({ first, last, attacks, weight }) => {
    const probability = attacks / weight;
    return first === last
      ? [[first, probability]]
      : [
          [first, probability],
          [last, probability],
        ];
  });
  return { logits: ends.map(([x]) => x!), probabilities: ends.map(([, y]) => y!) };
}

/** Equal means are pooled too: one step, not two. */
function violates(lower: Block, upper: Block): boolean {
  return lower.attacks * upper.weight >= upper.attacks * lower.weight;
}

function requireBothClasses(train: readonly LabelledLogit[]) {
  const attacks = train.filter(({ label }) => label === 'attack').length;
  const bonaFides = train.length - attacks;
  if (attacks > 0 && bonaFides > 0) {
    const half = train.length / 2;
    return {
      attacks,
      bonaFides,
      weightOf: { attack: half / attacks, 'bona-fide': half / bonaFides },
    };
  }
  throw new Error(`a fit needs both classes, but has ${attacks} attacks, ${bonaFides} bona fide`);
}
