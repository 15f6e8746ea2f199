// Presentations sorted by score, and what lies below each cut point. A score is P(spoof): one at or
// above the cut point is classified as an attack.
//
// Each presentation has a weight: 1 for the plain figure, its number of draws in a bootstrap replicate.

export type Label = 'attack' | 'bona-fide';

/** One labelled image and what the system answered. */
export interface Presentation {
  label: Label;
  /** Presentation attack instrument (PAI) species, such as `print`. Ignored for bona fide images. */
  species: string;
  source: string;
  /** P(spoof); absent after a failure. */
  score?: number;
  /** `non_response`: no face or several. `acquisition`: the image itself was refused. */
  failure?: 'non_response' | 'acquisition';
}

/** Presentations sorted by score once, so that each bootstrap replicate takes linear time. */
export interface Ranked {
  presentations: readonly Presentation[];
  /** The distinct scores in rising order, then Infinity, at which nothing is an attack. */
  thresholds: Float64Array;
  /** Index in `thresholds` of each presentation's score; -1 after a failure. */
  steps: Int32Array;
  species: string[];
  /** Index in `species` of each attack; -1 for bona fide. */
  speciesOf: Int32Array;
}

/** Throws an Error for a score outside 0..1: it would shift every rate without a trace. */
export function rank(presentations: readonly Presentation[]): Ranked {
  for (const { score } of presentations) {
    if (score !== undefined && !(score >= 0 && score <= 1)) {
      throw new Error(`a score must be between 0 and 1, but one is ${score}`);
    }
  }
  const scores = presentations.flatMap(({ score }) => (score === undefined ? [] : [score]));
  const thresholds = Float64Array.from([...new Set(scores), Infinity]).toSorted();
  const stepOf = new Map(Array.from(thresholds, (score, step) => [score, step]));
  const attacks = presentations.filter(({ label }) => label === 'attack');
  const species = [...new Set(attacks.map((attack) => attack.species))].toSorted();
  return {
    presentations,
    thresholds,
    steps: Int32Array.from(presentations, ({ score }) => stepOf.get(score ?? NaN) ?? -1),
    species,
    speciesOf: Int32Array.from(presentations, (one) =>
      one.label === 'attack' ? species.indexOf(one.species) : -1,
    ),
  };
}

/** Cumulated weights: `[k]` counts the scores below `thresholds[k]`. */
export interface Curve {
  attack: Float64Array;
  bonaFide: Float64Array;
  /** APCER of the worst species at each threshold. */
  worstApcer: Float64Array;
}

/** The points of the DET curve are (1 - bonaFide[k] / last, attack[k] / last). */
export function sweep(
  { thresholds, steps, species, speciesOf }: Ranked,
  weights: ArrayLike<number>,
): Curve {
  const size = thresholds.length;
  const bonaFide = new Float64Array(size);
  const bySpecies = species.map(() => new Float64Array(size));
  for (let i = 0; i < steps.length; i++) {
    if (steps[i]! < 0) continue;
    // The score itself is not below its own threshold, but below the next one.
    const counts = bySpecies[speciesOf[i]!] ?? bonaFide;
    counts[steps[i]! + 1]! += weights[i]!;
  }
  const attack = new Float64Array(size);
  const worstApcer = new Float64Array(size);
  accumulate(bonaFide);
  for (const counts of bySpecies) {
    accumulate(counts);
    const total = counts[size - 1]!;
    for (let k = 0; k < size; k++) {
      attack[k]! += counts[k]!;
      if (total > 0) worstApcer[k] = Math.max(worstApcer[k]!, counts[k]! / total);
    }
  }
  return { attack, bonaFide, worstApcer };
}

function accumulate(counts: Float64Array): void {
  for (let k = 1; k < counts.length; k++) counts[k]! += counts[k - 1]!;
}

/** The first step at which at most this share of the bona fide images is at or above. */
export function lowestStep({ bonaFide }: Curve, maxBpcer: number): number {
  const total = last(bonaFide);
  return bonaFide.findIndex((below) => total - below <= maxBpcer * total + ROUNDING);
}

/** The first step that is an attack at this cut point. Verdicts compare five decimals. */
export function stepFrom({ thresholds }: Ranked, cutPoint: number): number {
  return thresholds.findIndex((score) => Math.round(score * 1e5) / 1e5 >= cutPoint);
}

/** Bins of equal width over 0..1, for the ECE and the reliability diagram. */
export const RELIABILITY_BINS = 10;

export interface ReliabilityBin {
  weight: number;
  /** Sums over the bin: divided by `weight`, the mean score and the share of attacks. */
  scores: number;
  attacks: number;
}

export function reliability({ presentations }: Ranked, weights: ArrayLike<number>) {
  const bins = Array.from({ length: RELIABILITY_BINS }, (): ReliabilityBin => ({
    weight: 0,
    scores: 0,
    attacks: 0,
  }));
  for (const [i, { score, label }] of presentations.entries()) {
    if (score === undefined) continue;
    const bin = bins[Math.min(RELIABILITY_BINS - 1, Math.floor(score * RELIABILITY_BINS))]!;
    bin.weight += weights[i]!;
    bin.scores += weights[i]! * score;
    if (label === 'attack') bin.attacks += weights[i]!;
  }
  return bins;
}

/** Rates are compared as counts; this absorbs the rounding of 0.05 * 20. */
export const ROUNDING = 1e-9;

/** The total weight of a cumulated column. */
export function last(values: Float64Array): number {
  return values[values.length - 1]!;
}
