import { sigmoid, toProbability } from '@livegate/worker/inference/score-faces';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { describe, expect, it } from 'vitest';
import { calibrate, type LogitSample } from './calibrate.js';
import { crossValidate, type leaveOneSourceOut } from './statistics/cross-validate.js';
import {
  type Fit,
  fitIsotonic,
  fitPlatt,
  fits,
  type LabelledLogit,
} from './statistics/fit-calibration.js';

/** Images whose true P(spoof) is sigmoid(0.5 * logit - 1): what a fit should find. */
function drawSamples(perSource: number, sources = ['a', 'b', 'c', 'd']): LogitSample[] {
  const random = xoroshiro128plus(3);
  const uniform = () => uniformInt(random, 0, 1_000_000) / 1_000_000;
  return sources.flatMap((source) =>
    Array.from({ length: perSource }, (_, i): LogitSample => {
      const logit = uniform() * 16 - 6;
      const label = uniform() < sigmoid(0.5 * logit - 1) ? 'attack' : 'bona-fide';
      const framing = i % 2 ? 'photo' : 'crop';
      return { path: `${source}/${i}.jpg`, source, label, logit, species: 'print', framing };
    }),
  );
}

const options = {
  targetBpcer: 0.05,
  bootstrap: { replicates: 200, seed: 1 },
  profile: 'default',
  model: 'm/1+00000000',
  data: { name: 'drawn', date: '2026-01-01' },
};

describe('Platt scaling', () => {
  it('finds the slope and intercept of drawn data', () => {
    const fit = fitPlatt(drawSamples(5000));
    const slope = expect.closeTo(0.5, 1) as number;
    const intercept = expect.any(Number) as number;
    expect(fit).toEqual({ method: 'platt', platt: { slope, intercept } });
  });

  it('gives a finite slope for classes that do not overlap', () => {
    const train = [-2, -1, 1, 2].map((logit): LabelledLogit => {
      return { path: '', source: 'a', logit, label: logit > 0 ? 'attack' : 'bona-fide' };
    });
    const fit = fitPlatt(train);
    // By symmetry the intercept is 0; the targets are 3/4 and 1/4.
    expect(toProbability(0, fit)).toBeCloseTo(0.5, 12);
    expect(toProbability(2, fit)).toBeLessThan(0.9);
  });

  it('does not depend on how many images a class has', () => {
    const samples = drawSamples(2000);
    const fewAttacks = samples.filter(({ label }, i) => label === 'bona-fide' || i % 4 === 0);
    const at = (train: LabelledLogit[]) => toProbability(2, fitPlatt(train));
    expect(Math.abs(at(samples) - at(fewAttacks))).toBeLessThan(0.03);
  });

  it('refuses data in which attacks score lower, or one class is missing', () => {
    const samples = drawSamples(200);
    const inverted = samples.map((one) => ({ ...one, logit: -one.logit }));
    expect(() => fitPlatt(inverted)).toThrow('do not score higher');
    expect(() => fitPlatt(samples.filter(({ label }) => label === 'attack'))).toThrow(
      'both classes',
    );
  });
});

describe('isotonic regression', () => {
  it('pools neighbours that fall into one step', () => {
    const labels = ['bona-fide', 'attack', 'bona-fide', 'attack'] as const;
    const train = labels.map((label, logit): LabelledLogit => {
      return { path: '', source: 'a', label, logit };
    });
    const fit = fitIsotonic(train);
    // 0, then the mean of 1 and 0, then 1; bounded by 1 / (2 + 2) and 3 / (2 + 2).
    expect(fit).toEqual({
      method: 'isotonic',
      isotonic: { logits: [0, 1, 2, 3], probabilities: [0.25, 0.5, 0.5, 0.75] },
    });
    const at = (logit: number) => toProbability(logit, fit);
    expect([at(-9), at(0.5), at(1.5), at(2.4), at(9)]).toEqual([
      0.25,
      0.375,
      0.5,
      expect.closeTo(0.6, 12),
      0.75,
    ]);
  });

  it('never falls and never says 0 or 1', () => {
    const fit = fitIsotonic(drawSamples(300));
    const curve = Array.from({ length: 200 }, (_, i) => toProbability(i / 10 - 10, fit));
    expect(curve).toEqual(curve.toSorted((a, b) => a - b));
    expect(curve[0]).toBeGreaterThan(0);
    expect(curve.at(-1)).toBeLessThan(1);
  });
});

describe('cross-validation', () => {
  /** Remembers its images: perfect on them, chance on all others. */
  const memory: Fit = (train) => {
    const seen = new Map(train.map(({ logit, label }) => [logit, label]));
    const logits = [...seen.keys()].toSorted((a, b) => a - b);
    const probabilities = logits.map((logit) => (seen.get(logit) === 'attack' ? 1 : 0));
    return { method: 'isotonic', isotonic: { logits, probabilities } };
  };

  const noise = drawSamples(60).map((one, i) => {
    return { ...one, label: (i * 7) % 3 === 0 ? ('attack' as const) : ('bona-fide' as const) };
  });

  const errors = (held: number[]) =>
    held.filter((p, i) => p >= 0.5 !== (noise[i]!.label === 'attack')).length / held.length;

  it('shows a fit that only remembers its images as no better than chance', () => {
    expect(errors(noise.map(({ logit }) => toProbability(logit, memory(noise))))).toBe(0);
    expect(errors(crossValidate(noise, memory))).toBeGreaterThan(0.25);
  });

  it('fits each source without any of its images', () => {
    const trainedOn: string[][] = [];
    crossValidate(noise, (train) => {
      trainedOn.push([...new Set(train.map(({ source }) => source))]);
      return fits.platt(drawSamples(50));
    });
    expect(trainedOn).toEqual([
      ['b', 'c', 'd'],
      ['a', 'c', 'd'],
      ['a', 'b', 'd'],
      ['a', 'b', 'c'],
    ]);
  });

  it('refuses a split by image, which leaks sources into their own test', () => {
    const byImage: typeof leaveOneSourceOut<LabelledLogit> = (all) =>
      [0, 1].map((half) => ({
        heldOut: `half ${half}`,
        train: all.filter((_, i) => i % 2 !== half),
        test: all.filter((_, i) => i % 2 === half),
      }));
    expect(() => crossValidate(noise, fits.platt, byImage)).toThrow(
      'leak: source "a" is in the training and in the test of "half 0"',
    );
  });

  it('refuses an image that was copied into another source', () => {
    const copied = drawSamples(50).map((one, i) => ({ ...one, sha256: `${i}` }));
    copied[60]!.sha256 = copied[3]!.sha256;
    expect(() => crossValidate(copied, fits.platt)).toThrow(
      'leak: a/3.jpg is the same image as b/10.jpg of another source',
    );
    expect(() => calibrate(copied, options)).toThrow('leak');
  });

  it('needs two sources', () => {
    expect(() => crossValidate(drawSamples(50, ['a']), fits.platt)).toThrow('two sources');
  });
});

describe('calibrate', () => {
  const samples = drawSamples(250);
  const file = calibrate(samples, options);

  it('writes what a worker loads', () => {
    expect(file).toMatchObject({
      format: 'livegate-calibration/1',
      profile: 'default',
      model: 'm/1+00000000',
      data: { name: 'drawn', sources: ['a', 'b', 'c', 'd'] },
    });
    expect(file.data.attacks + file.data.bona_fide).toBe(1000);
    expect(JSON.parse(JSON.stringify(file))).toEqual(file);
  });

  it('makes the score a probability, on sources that the fit did not see', () => {
    expect(file.figures.ece.value).toBeLessThan(0.06);
    expect(file.figures.uncalibrated.ece.value).toBeGreaterThan(0.1);
    expect(Object.keys(file.figures.framing)).toEqual(['crop', 'photo']);
    expect(file.figures.ece.by_source).not.toBeNull();
  });

  it('chooses the method that is better on held-out sources, unless one is asked for', () => {
    const { platt, isotonic } = file.figures.brier_by_method;
    expect(file.method).toBe(platt! <= isotonic! ? 'platt' : 'isotonic');
    const few = { ...options, bootstrap: { replicates: 20, seed: 1 } };
    expect(calibrate(samples, { ...few, method: 'isotonic' }).method).toBe('isotonic');
  });

  it('proposes cut points that keep their BPCER, in the order soft, regular, hardened', () => {
    const { soft, regular, hardened } = file.cut_points;
    const bonaFide = samples
      .filter(({ label }) => label === 'bona-fide')
      .map(({ logit }) => toProbability(logit, file));
    const bpcer = (cut: number) => bonaFide.filter((p) => p >= cut).length / bonaFide.length;
    expect(bpcer(soft.high)).toBeLessThanOrEqual(0.01);
    expect(bpcer(regular.high)).toBeLessThanOrEqual(0.05);
    expect(bpcer(regular.high)).toBeGreaterThan(0.045);
    expect(bpcer(regular.moderate)).toBeLessThanOrEqual(0.1);
    expect(bpcer(hardened.moderate)).toBeLessThanOrEqual(0.2);
    const inOrder = [hardened.moderate, hardened.high, regular.high, soft.high];
    expect(inOrder).toEqual(inOrder.toSorted((a, b) => a - b));
    expect([hardened.high, regular.high]).toEqual([regular.moderate, soft.moderate]);
  });

  it('gives each cut point an interval and error rates on held-out sources', () => {
    const { high } = file.figures.cut_points.regular;
    expect(high.by_source![0]).toBeLessThanOrEqual(file.cut_points.regular.high);
    expect(high.by_source![1]).toBeGreaterThanOrEqual(file.cut_points.regular.high);
    expect(high.bpcer.value).toBeLessThan(0.09);
    expect(high.apcer.value).toBeGreaterThan(0);
  });
});
