// How far a figure can be trusted: bootstrap intervals, and paired tests between two systems.
import type { CutPoints } from '@livegate/core/domain';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { measure, type MeasureName, measureNames, type Measures, measures } from './measures.js';
import { type Label, type Presentation, rank } from './score-curve.js';

/** The bounds of a 95 % interval. */
export type Interval = [low: number, high: number];

export interface Figure {
  /** `null` where the presentations do not define the measure. */
  value: number | null;
  /** Whole sources are drawn: what others might give. `null` if a class comes from one source. */
  by_source: Interval | null;
  /** Images are drawn within each class: what other images of the same sources might give. */
  by_image: Interval | null;
}

export type Figures = Record<MeasureName, Figure>;

export interface BootstrapOptions {
  replicates: number;
  /** The same seed gives the same intervals. */
  seed: number;
}

export type Unit = 'source' | 'image';

/** Every measure of the presentations, each with its intervals. */
export function measureWithIntervals(
  presentations: readonly Presentation[],
  cutPoints: CutPoints,
  options: BootstrapOptions,
): Figures {
  const ranked = rank(presentations);
  const plain = measure(ranked, cutPoints);
  const replicate = (unit: Unit) =>
    drawWeights(presentations, unit, options).map((weights) => measure(ranked, cutPoints, weights));
  const bySource = replicate('source');
  const byImage = replicate('image');
  const sources = countSources(presentations);
  const sizes = countClasses(presentations);
  return mapMeasures((name) => {
    const widen = widenExtremes(plain[name], sizes[classOf(name) ?? 'none']);
    return {
      value: finite(plain[name]),
      by_source: hasSources(name, sources)
        ? widen(percentiles(bySource.map((one) => one[name])))
        : null,
      by_image: widen(percentiles(byImage.map((one) => one[name]))),
    };
  });
}

/** How many sources have each class. */
export function countSources(presentations: readonly Presentation[]): Record<Label, number> {
  const sourcesOf = (wanted: Label) =>
    new Set(presentations.flatMap(({ label, source }) => (label === wanted ? [source] : [])));
  return { attack: sourcesOf('attack').size, 'bona-fide': sourcesOf('bona-fide').size };
}

/** Whether each class that decides the measure comes from two sources; one cannot vary. */
function hasSources(name: MeasureName, sources: Record<Label, number>): boolean {
  const of = atFixedCutPoint.test(name) ? classOf(name) : undefined;
  if (of === 'bona-fide') return sources['bona-fide'] > 1;
  if (of) return sources.attack > 1;
  return sources.attack > 1 && sources['bona-fide'] > 1;
}

/** A rate of one class at a cut point that does not depend on the other class, or of failures. */
const atFixedCutPoint = /_moderate$|_high$|nrr$|_failure$/;

function classOf(name: MeasureName) {
  const measured: { name: string; of?: 'attack' | 'bona-fide' | 'species' } = measures[name];
  return measured.of;
}

function mapMeasures<Value>(toValue: (name: MeasureName) => Value): Record<MeasureName, Value> {
  const entries = measureNames.map((name) => [name, toValue(name)]);
  return Object.fromEntries(entries) as Record<MeasureName, Value>;
}

/** How often each presentation is drawn, one array per replicate. */
export function drawWeights(
  presentations: readonly Presentation[],
  unit: Unit,
  { replicates, seed }: BootstrapOptions,
): Float64Array[] {
  const random = xoroshiro128plus(seed);
  const keyOf = unit === 'source' ? ({ source }: Presentation) => source : undefined;
  const clusters = keyOf ? groupIndices(presentations, keyOf) : presentations.map((_, i) => [i]);
  // One source cannot tell how sources differ.
  if (clusters.length < 2) return [];
  // Images are drawn within each class, so that both keep their size. Sources may contain both.
  const strata = keyOf
    ? [clusters]
    : groupIndices(presentations, ({ label }) => label).map((stratum) => stratum.map((i) => [i]));
  return Array.from({ length: replicates }, () => {
    const weights = new Float64Array(presentations.length);
    for (const stratum of strata) drawFrom(stratum);
    return weights;

    function drawFrom(stratum: number[][]): void {
      for (let n = 0; n < stratum.length; n++) {
        for (const i of stratum[uniformInt(random, 0, stratum.length - 1)]!) weights[i]! += 1;
      }
    }
  });
}

function groupIndices(
  presentations: readonly Presentation[],
  keyOf: (one: Presentation) => string,
): number[][] {
  const groups = new Map<string, number[]>();
  for (const [i, one] of presentations.entries()) {
    const group = groups.get(keyOf(one));
    if (group) group.push(i);
    else groups.set(keyOf(one), [i]);
  }
  return [...groups.values()];
}

/**
 * The 2.5 % and 97.5 % percentiles. `null` if less than half of the replicates define the figure,
 * as when most draws of whole sources contain no bona fide image.
 */
export function percentiles(replicates: number[]): Interval | null {
  const sorted = replicates.filter(Number.isFinite).toSorted((a, b) => a - b);
  if (sorted.length === 0 || sorted.length < replicates.length / 2) return null;
  return [quantile(sorted, 0.025), quantile(sorted, 0.975)];
}

/** Linear interpolation between the two nearest values of a sorted list. */
export function quantile(sorted: number[], share: number): number {
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  const above = sorted[Math.ceil(at)]!;
  return below + (above - below) * (at - Math.floor(at));
}

function countClasses(presentations: readonly Presentation[]) {
  const scored = presentations.filter(({ score }) => score !== undefined);
  const bySpecies = groupIndices(
    scored.filter(({ label }) => label === 'attack'),
    ({ species }) => species,
  ).map((group) => group.length);
  return {
    attack: bySpecies.reduce((a, b) => a + b, 0),
    'bona-fide': scored.filter(({ label }) => label === 'bona-fide').length,
    species: Math.min(...bySpecies),
    none: undefined,
  };
}

/**
 * No error in n images does not mean that there is none: a bootstrap would give the interval 0 to 0.
 * The bound is then that of Clopper and Pearson, about 3.7 / n.
 */
function widenExtremes(value: number, n: number | undefined) {
  return (interval: Interval | null): Interval | null => {
    if (!interval || !n || (value !== 0 && value !== 1)) return interval;
    const bound = 1 - 0.025 ** (1 / n);
    if (value === 0) return [0, Math.max(interval[1], bound)];
    return [Math.min(interval[0], 1 - bound), 1];
  };
}

export interface Difference {
  /** B minus A. */
  value: number | null;
  by_source: Interval | null;
  by_image: Interval | null;
  /** Two-sided, of "no difference", from the draws of whole sources; by image with one source. */
  p: number | null;
}

/** The same images, judged by two systems at their own cut points. */
export interface Pair {
  a: readonly Presentation[];
  b: readonly Presentation[];
  cutPoints: { a: CutPoints; b: CutPoints };
}

/**
 * Differences between two systems on the same images. Each replicate draws the same images for both,
 * so what makes an image hard for both cancels out.
 */
export function comparePaired(
  { a, b, cutPoints }: Pair,
  options: BootstrapOptions,
): Record<MeasureName, Difference> {
  if (a.length !== b.length) throw new Error('both systems must have judged the same images');
  const [rankedA, rankedB] = [rank(a), rank(b)];
  const differ = (weights?: Float64Array): Measures => {
    const [ofA, ofB] = [
      measure(rankedA, cutPoints.a, weights),
      measure(rankedB, cutPoints.b, weights),
    ];
    return mapMeasures((name) => ofB[name] - ofA[name]);
  };
  const plain = differ();
  const sources = countSources(a);
  const bySource = drawWeights(a, 'source', options).map(differ);
  const byImage = drawWeights(a, 'image', options).map(differ);
  return mapMeasures((name) => {
    const ofSources = hasSources(name, sources) ? bySource.map((one) => one[name]) : [];
    const ofImages = byImage.map((one) => one[name]);
    const by_source = percentiles(ofSources);
    return {
      value: finite(plain[name]),
      by_source,
      by_image: percentiles(ofImages),
      p: finite(signP(by_source ? ofSources : ofImages)),
    };
  });
}

/** Twice the share of replicates on the rarer side of 0; the added one keeps it above 0. */
function signP(replicates: number[]): number {
  const usable = replicates.filter(Number.isFinite);
  if (usable.length === 0) return NaN;
  const below = usable.filter((difference) => difference <= 0).length;
  const above = usable.filter((difference) => difference >= 0).length;
  return Math.min(1, (2 * (Math.min(below, above) + 1)) / (usable.length + 1));
}

/**
 * The exact McNemar test: the two-sided p of "both systems err equally often", from the images that
 * only one of them got wrong. It treats images as independent, which those of one source are not.
 */
export function mcnemar(onlyAWrong: number, onlyBWrong: number): number {
  const n = onlyAWrong + onlyBWrong;
  let term = 0.5 ** n;
  let tail = 0;
  for (let k = 0; k <= Math.min(onlyAWrong, onlyBWrong); k++) {
    tail += term;
    term *= (n - k) / (k + 1);
  }
  return Math.min(1, 2 * tail);
}

/** JSON has no NaN. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
