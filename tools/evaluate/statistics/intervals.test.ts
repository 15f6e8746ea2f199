import { describe, expect, it } from 'vitest';
import {
  comparePaired,
  drawWeights,
  mcnemar,
  measureWithIntervals,
  percentiles,
  quantile,
} from './intervals.js';
import type { Presentation } from './score-curve.js';

const cutPoints = { moderate: 0.4, high: 0.7 };
const bootstrap = { replicates: 500, seed: 7 };

/** Images of a source: `missed` of `n` attacks score 0.1, `refused` of `n` bona fide score 0.9. */
function source(name: string, n: number, { missed = 0, refused = 0 } = {}): Presentation[] {
  return Array.from({ length: n }, (_, i): Presentation[] => [
    { label: 'attack', species: 'print', source: name, score: i < missed ? 0.1 : 0.9 },
    { label: 'bona-fide', species: '', source: name, score: i < refused ? 0.9 : 0.1 },
  ]).flat();
}

describe('bootstrap draws', () => {
  it('by source give all images of a source the same weight', () => {
    const images = [...source('a', 3), ...source('b', 5), ...source('c', 2)];
    for (const weights of drawWeights(images, 'source', bootstrap)) {
      const bySource = new Map<string, Set<number>>();
      for (const [i, { source: name }] of images.entries()) {
        bySource.set(name, (bySource.get(name) ?? new Set()).add(weights[i]!));
      }
      expect([...bySource.values()].map((seen) => seen.size)).toEqual([1, 1, 1]);
    }
  });

  it('by image keep the size of each class', () => {
    const images = source('a', 6);
    for (const weights of drawWeights(images, 'image', bootstrap)) {
      const attacks = images.map(({ label }, i) => (label === 'attack' ? weights[i]! : 0));
      expect(attacks.reduce((a, b) => a + b)).toBe(6);
      expect(weights.reduce((a, b) => a + b)).toBe(12);
    }
  });

  it('are the same for the same seed, and others for another', () => {
    const images = source('a', 20);
    const draw = (seed: number) => drawWeights(images, 'image', { replicates: 3, seed });
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });
});

describe('intervals', () => {
  it('by image have the width of a binomial share', () => {
    const images = source('a', 100, { missed: 20 });
    const { apcer_high } = measureWithIntervals(images, cutPoints, { replicates: 1000, seed: 1 });
    expect(apcer_high.value).toBe(0.2);
    // 1.96 * sqrt(0.2 * 0.8 / 100) = 0.078 on each side.
    expect(apcer_high.by_image![0]).toBeCloseTo(0.122, 1);
    expect(apcer_high.by_image![1]).toBeCloseTo(0.278, 1);
  });

  it('by source are wider than by image where sources differ', () => {
    const images = [source('a', 50), source('b', 50, { missed: 25 }), source('c', 50)].flat();
    const many = { replicates: 1500, seed: 1 };
    const { apcer_high } = measureWithIntervals(images, cutPoints, many);
    // All three draws are b in 1 of 27 replicates, which is more than 2.5 %.
    expect(apcer_high.by_source).toEqual([0, expect.closeTo(0.5, 9)]);
    expect(apcer_high.by_image![1]).toBeLessThan(0.25);
  });

  it('by source are absent for a class that comes from one source', () => {
    const attacksOnly = source('b', 30, { missed: 3 }).filter(({ label }) => label === 'attack');
    const found = measureWithIntervals([...source('a', 30), ...attacksOnly], cutPoints, bootstrap);
    expect(found.apcer_high.by_source).not.toBeNull();
    expect(found.bpcer_high.by_source).toBeNull();
    expect(found.auc.by_source).toBeNull();
    expect(found.bpcer_high.by_image).not.toBeNull();
  });

  it('of no error in n images reach to the exact binomial bound, not to 0', () => {
    const found = measureWithIntervals(source('a', 60), cutPoints, bootstrap);
    expect(found.apcer_high.value).toBe(0);
    expect(found.apcer_high.by_image).toEqual([0, expect.closeTo(1 - 0.025 ** (1 / 60), 12)]);
  });

  it('are absent if most draws do not define the measure', () => {
    expect(percentiles([NaN, NaN, 0.5])).toBeNull();
    expect(percentiles([NaN, 0.5, 0.5])).toEqual([0.5, 0.5]);
  });

  it('interpolate quantiles', () => {
    expect(quantile([0, 10], 0.25)).toBe(2.5);
    expect(quantile([3], 0.975)).toBe(3);
  });
});

describe('the paired test', () => {
  const shared = [source('a', 40, { missed: 20 }), source('b', 40, { missed: 10 })].flat();

  it('finds no difference between a system and itself', () => {
    const same = { a: shared, b: shared, cutPoints: { a: cutPoints, b: cutPoints } };
    const { apcer_high } = comparePaired(same, bootstrap);
    expect(apcer_high).toEqual({ value: 0, by_source: [0, 0], by_image: [0, 0], p: 1 });
  });

  it('finds a small difference that unpaired intervals would hide', () => {
    // B catches 5 more attacks of each source and is never worse.
    const better = [source('a', 40, { missed: 15 }), source('b', 40, { missed: 5 })].flat();
    const pair = { a: shared, b: better, cutPoints: { a: cutPoints, b: cutPoints } };
    const { apcer_high } = comparePaired(pair, bootstrap);
    expect(apcer_high.value).toBeCloseTo(-0.125, 12);
    expect(apcer_high.by_image![1]).toBeLessThan(0);
    expect(apcer_high.p).toBeLessThan(0.01);
    const alone = [shared, better].map((one) => measureWithIntervals(one, cutPoints, bootstrap));
    expect(alone[1]!.apcer_high.by_image![1]).toBeGreaterThan(alone[0]!.apcer_high.by_image![0]);
  });

  it('refuses systems that judged different images', () => {
    const pair = { a: shared, b: shared.slice(1), cutPoints: { a: cutPoints, b: cutPoints } };
    expect(() => comparePaired(pair, bootstrap)).toThrow('the same images');
  });
});

it('McNemar is the two-sided binomial test of the images that one system alone got wrong', () => {
  expect(mcnemar(0, 0)).toBe(1);
  expect(mcnemar(5, 5)).toBe(1);
  // 2 * (1 + 10) / 1024
  expect(mcnemar(1, 9)).toBeCloseTo(22 / 1024, 12);
  expect(mcnemar(9, 1)).toBeCloseTo(22 / 1024, 12);
});
