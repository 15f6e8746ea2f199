// Error rates of presentation attack detection, with the terms of ISO/IEC 30107-3. Using the terms
// claims no conformance with the standard.
import type { CutPoints } from '@livegate/core/domain';
import {
  type Curve,
  type Label,
  last,
  lowestStep,
  type Ranked,
  reliability,
  ROUNDING,
  stepFrom,
  sweep,
} from './score-curve.js';

/** The name of each measure in tables. `of` names the class whose share it is, for 0 of n. */
export const measures = {
  auc: { name: 'AUC' },
  eer: { name: 'EER' },
  apcer_at_bpcer_1: { name: 'APCER at BPCER 1 %', of: 'attack' },
  apcer_at_bpcer_5: { name: 'APCER at BPCER 5 %', of: 'attack' },
  apcer_at_bpcer_10: { name: 'APCER at BPCER 10 %', of: 'attack' },
  bpcer10: { name: 'BPCER10: BPCER at APCER 10 %', of: 'bona-fide' },
  bpcer20: { name: 'BPCER20: BPCER at APCER 5 %', of: 'bona-fide' },
  bpcer100: { name: 'BPCER100: BPCER at APCER 1 %', of: 'bona-fide' },
  bpcer10_worst: { name: 'BPCER10, worst species', of: 'bona-fide' },
  bpcer20_worst: { name: 'BPCER20, worst species', of: 'bona-fide' },
  bpcer100_worst: { name: 'BPCER100, worst species', of: 'bona-fide' },
  apcer_moderate: { name: 'APCER, refused from MODERATE', of: 'attack' },
  worst_apcer_moderate: { name: 'APCER of the worst species, from MODERATE', of: 'species' },
  bpcer_moderate: { name: 'BPCER, refused from MODERATE', of: 'bona-fide' },
  acer_moderate: { name: 'ACER, refused from MODERATE' },
  apcer_high: { name: 'APCER, refused at HIGH', of: 'attack' },
  worst_apcer_high: { name: 'APCER of the worst species, at HIGH', of: 'species' },
  bpcer_high: { name: 'BPCER, refused at HIGH', of: 'bona-fide' },
  acer_high: { name: 'ACER, refused at HIGH' },
  apnrr: { name: 'Attack presentation non-response rate (APNRR)', of: 'attack' },
  bpnrr: { name: 'Bona fide presentation non-response rate (BPNRR)', of: 'bona-fide' },
  attack_acquisition_failure: { name: 'Attacks refused as images', of: 'attack' },
  bona_fide_acquisition_failure: { name: 'Bona fide refused as images', of: 'bona-fide' },
  attack_accept_moderate: {
    name: 'Attacks accepted of all presented, from MODERATE',
    of: 'attack',
  },
  bona_fide_reject_moderate: { name: 'Bona fide not accepted, from MODERATE', of: 'bona-fide' },
  riapar_bound_moderate: { name: 'RIAPAR with a perfect matcher, from MODERATE' },
  attack_accept_high: { name: 'Attacks accepted of all presented, at HIGH', of: 'attack' },
  bona_fide_reject_high: { name: 'Bona fide not accepted, at HIGH', of: 'bona-fide' },
  riapar_bound_high: { name: 'RIAPAR with a perfect matcher, at HIGH' },
  brier: { name: 'Brier score' },
  ece: { name: 'Expected calibration error (ECE)' },
} as const satisfies Record<string, { name: string; of?: Label | 'species' }>;

export type MeasureName = keyof typeof measures;
export const measureNames = Object.keys(measures) as MeasureName[];

/** NaN where the presentations do not define a measure, such as an EER without attacks. */
export type Measures = Record<MeasureName, number>;

/** All measures at once. Without `weights` each presentation counts once. */
export function measure(ranked: Ranked, cutPoints: CutPoints, weights?: ArrayLike<number>) {
  const weigh = weights ?? new Float64Array(ranked.presentations.length).fill(1);
  const curve = sweep(ranked, weigh);
  const counts = countFailures(ranked, weigh);
  return {
    ...rankingMeasures(curve),
    ...atCutPoint('moderate', curve, { counts, step: stepFrom(ranked, cutPoints.moderate) }),
    ...atCutPoint('high', curve, { counts, step: stepFrom(ranked, cutPoints.high) }),
    ...failureRates(counts),
    ...calibrationMeasures(ranked, weigh),
  } as Measures;
}

/** These need presentations of both classes. */
const rankingNames = measureNames.slice(0, measureNames.indexOf('apcer_moderate'));

function rankingMeasures(curve: Curve) {
  const bothClasses = last(curve.attack) > 0 && last(curve.bonaFide) > 0;
  if (!bothClasses) return Object.fromEntries(rankingNames.map((name) => [name, NaN]));
  return {
    auc: areaUnderCurve(curve),
    eer: equalErrorRate(curve),
    apcer_at_bpcer_1: apcerAtBpcer(curve, 0.01),
    apcer_at_bpcer_5: apcerAtBpcer(curve, 0.05),
    apcer_at_bpcer_10: apcerAtBpcer(curve, 0.1),
    bpcer10: bpcerAtApcer(curve, 0.1),
    bpcer20: bpcerAtApcer(curve, 0.05),
    bpcer100: bpcerAtApcer(curve, 0.01),
    bpcer10_worst: bpcerAtWorstApcer(curve, 0.1),
    bpcer20_worst: bpcerAtWorstApcer(curve, 0.05),
    bpcer100_worst: bpcerAtWorstApcer(curve, 0.01),
  };
}

/** The share of pairs in which the attack scores above the bona fide image; ties count half. */
function areaUnderCurve({ attack, bonaFide }: Curve): number {
  let won = 0;
  for (let k = 0; k + 1 < attack.length; k++) {
    won += (attack[k + 1]! - attack[k]!) * (bonaFide[k]! + bonaFide[k + 1]!);
  }
  return won / 2 / (last(attack) * last(bonaFide));
}

/** The mean of both rates where they are closest; of two such cut points, the worse mean. */
function equalErrorRate({ attack, bonaFide }: Curve): number {
  const attacks = last(attack);
  const bonaFides = last(bonaFide);
  let closest = Infinity;
  let rate = NaN;
  for (let k = 0; k < attack.length; k++) {
    // Multiplied instead of divided: equal gaps must compare as equal, and integers do.
    const missed = attack[k]! * bonaFides;
    const refused = (bonaFides - bonaFide[k]!) * attacks;
    const gap = Math.abs(missed - refused);
    const mean = (missed + refused) / 2 / (attacks * bonaFides);
    if (gap < closest || (gap === closest && mean > rate)) rate = mean;
    closest = Math.min(closest, gap);
  }
  return rate;
}

/** The lowest APCER that keeps the BPCER at or below `max`. */
function apcerAtBpcer(curve: Curve, max: number): number {
  return curve.attack[lowestStep(curve, max)]! / last(curve.attack);
}

/** The lowest BPCER that keeps the APCER of all attacks at or below `max`. */
function bpcerAtApcer({ attack, bonaFide }: Curve, max: number): number {
  const allowed = max * last(attack) + ROUNDING;
  return 1 - bonaFide[attack.findLastIndex((below) => below <= allowed)]! / last(bonaFide);
}

function bpcerAtWorstApcer({ bonaFide, worstApcer }: Curve, max: number): number {
  const step = worstApcer.findLastIndex((apcer) => apcer <= max + ROUNDING);
  return 1 - bonaFide[step]! / last(bonaFide);
}

interface At {
  step: number;
  counts: Counts;
}

function atCutPoint(cut: 'moderate' | 'high', curve: Curve, { step, counts }: At) {
  const missed = curve.attack[step]!;
  const passed = curve.bonaFide[step]!;
  const attacks = last(curve.attack);
  const worst = attacks > 0 ? curve.worstApcer[step]! : NaN;
  const bpcer = 1 - passed / last(curve.bonaFide);
  // Over all presentations: one without an answer, or refused as an image, is not accepted.
  const accepted = missed / counts.attack.all;
  const rejected = 1 - passed / counts['bona-fide'].all;
  return {
    [`apcer_${cut}`]: missed / attacks,
    [`worst_apcer_${cut}`]: worst,
    [`bpcer_${cut}`]: bpcer,
    [`acer_${cut}`]: (worst + bpcer) / 2,
    [`attack_accept_${cut}`]: accepted,
    [`bona_fide_reject_${cut}`]: rejected,
    // RIAPAR = 1 + IAPAR - (1 - FRR), of a whole system. Here: with a matcher that makes no error.
    [`riapar_bound_${cut}`]: accepted + rejected,
  };
}

type Counts = Record<Label, { all: number; non_response: number; acquisition: number }>;

function countFailures({ presentations }: Ranked, weights: ArrayLike<number>): Counts {
  const none = { all: 0, non_response: 0, acquisition: 0 };
  const counts: Counts = { attack: { ...none }, 'bona-fide': { ...none } };
  for (const [i, { label, failure }] of presentations.entries()) {
    counts[label].all += weights[i]!;
    if (failure) counts[label][failure] += weights[i]!;
  }
  return counts;
}

function failureRates({ attack, 'bona-fide': bonaFide }: Counts) {
  return {
    apnrr: attack.non_response / (attack.all - attack.acquisition),
    bpnrr: bonaFide.non_response / (bonaFide.all - bonaFide.acquisition),
    attack_acquisition_failure: attack.acquisition / attack.all,
    bona_fide_acquisition_failure: bonaFide.acquisition / bonaFide.all,
  };
}

/** Defined for one class alone too, but only a mix says whether P(spoof) is a probability. */
function calibrationMeasures(ranked: Ranked, weights: ArrayLike<number>) {
  const bins = reliability(ranked, weights);
  const total = bins.reduce((sum, bin) => sum + bin.weight, 0);
  const attacks = bins.reduce((sum, bin) => sum + bin.attacks, 0);
  if (attacks === 0 || attacks === total) return { brier: NaN, ece: NaN };
  const gap = bins.reduce((sum, bin) => sum + Math.abs(bin.attacks - bin.scores), 0);
  let squares = 0;
  for (const [i, { score, label }] of ranked.presentations.entries()) {
    if (score === undefined) continue;
    squares += weights[i]! * (score - (label === 'attack' ? 1 : 0)) ** 2;
  }
  return { brier: squares / total, ece: gap / total };
}
