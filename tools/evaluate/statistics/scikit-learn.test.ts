import { toProbability } from '@livegate/worker/inference/score-faces';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { describe, expect, it } from 'vitest';
import { fitPlatt, type LabelledLogit, poolViolators } from './fit-calibration.js';
import { mcnemar, quantile } from './intervals.js';
import { measure, type MeasureName } from './measures.js';
import { rank } from './score-curve.js';

const script = fileURLToPath(new URL('reference.py', import.meta.url));

/** Python imports scikit-learn for seconds on a busy machine. */
const timeoutMs = 60_000;

/** The answers of scikit-learn 1.9.1 by seed; `RECORD=1 npm test -- THIS_FILE` writes them again. */
const recordedPath = fileURLToPath(new URL('reference.json', import.meta.url));

/**
 * The first Python with scikit-learn, which Debian has as python3-sklearn. On a machine without one
 * the recorded answers count.
 */
const python = ['python3', '/usr/bin/python3'].find(
  (name) => spawnSync(name, ['-c', 'import sklearn']).status === 0,
);

const shared: MeasureName[] = [
  'auc',
  'eer',
  'apcer_at_bpcer_1',
  'apcer_at_bpcer_5',
  'apcer_at_bpcer_10',
  'bpcer10',
  'bpcer20',
  'bpcer100',
  'brier',
  'ece',
];

const discordant: [number, number][] = [
  [0, 1],
  [3, 10],
  [18, 7],
  [40, 40],
  [0, 25],
];

/** Overlapping classes with many equal scores; no score is on the edge of a bin of the ECE. */
function drawCase(seed: number) {
  const random = xoroshiro128plus(seed);
  return Array.from({ length: 60 + uniformInt(random, 0, 300) }, () => {
    const attack = uniformInt(random, 0, 2) === 0;
    const score = (uniformInt(random, attack ? 20 : 0, attack ? 96 : 70) + 0.37) / 97;
    return { attack, score, weight: uniformInt(random, 0, 3) };
  });
}

interface Reference extends Record<MeasureName, number> {
  platt: [number, number];
  isotonic: number[];
  mcnemar: number[];
  quantiles: number[];
}

function askReference(input: object): Reference {
  const { stdout, stderr } = spawnSync(python!, [script], {
    input: JSON.stringify(input),
    encoding: 'utf8',
  });
  if (!stdout) throw new Error(stderr);
  return JSON.parse(stdout) as Reference;
}

/** Asks scikit-learn where it is installed, and holds the recorded answers to it. */
function readReference(seed: number, input: object): Reference {
  const recorded = JSON.parse(readFileSync(recordedPath, 'utf8')) as Record<number, Reference>;
  const reference = python ? askReference(input) : recorded[seed]!;
  if (process.env['RECORD']) {
    recorded[seed] = reference;
    writeFileSync(recordedPath, `${JSON.stringify(recorded, null, 2)}\n`);
  }
  expect(reference).toEqual(closely(recorded[seed]!));
  return reference;
}

/** Every number may differ by rounding. */
function closely(reference: Reference): object {
  const close = (value: number | number[]): unknown =>
    Array.isArray(value) ? value.map(close) : expect.closeTo(value, 9);
  return Object.fromEntries(
    Object.entries(reference).map(([name, value]) => [name, close(value as number | number[])]),
  );
}

describe('scikit-learn agrees to 1e-9', () => {
  it.each([1, 2])(
    'about every measure and fit of random case %i',
    { timeout: timeoutMs },
    (seed) => {
      const drawn = drawCase(seed);
      const presentations = drawn.map(({ attack, score }) => ({
        label: attack ? ('attack' as const) : ('bona-fide' as const),
        species: 'print',
        source: 'one',
        score,
      }));
      const train = presentations.map(({ label, score }, i): LabelledLogit => {
        const logit = Math.log(score / (1 - score));
        return { path: `${i}`, source: 'one', label, logit };
      });
      const asked = Array.from({ length: 61 }, (_, i) => -6 + i / 5);
      const reference = readReference(seed, {
        attack: drawn.map(({ attack }) => Number(attack)),
        score: drawn.map(({ score }) => score),
        weight: drawn.map(({ weight }) => weight),
        logit: train.map(({ logit }) => logit),
        asked,
        discordant: discordant.map(([a, b]) => [a, a + b]),
      });

      const weights = drawn.map(({ weight }) => weight);
      const found = measure(rank(presentations), { moderate: 0.4, high: 0.7 }, weights);
      const close = shared.map((name) => [name, expect.closeTo(reference[name], 9)]);
      expect(found).toMatchObject(Object.fromEntries(close) as object);

      const [slope, intercept] = reference.platt.map((value) => expect.closeTo(value, 9) as number);
      expect(fitPlatt(train)).toEqual({ method: 'platt', platt: { slope, intercept } });

      const attacks = train.filter(({ label }) => label === 'attack').length;
      const weightOf = { attack: 1 / attacks, 'bona-fide': 1 / (train.length - attacks) };
      const isotonic = poolViolators(train, weightOf);
      for (const [i, logit] of asked.entries()) {
        const probability = toProbability(logit, { method: 'isotonic', isotonic });
        expect(probability).toBeCloseTo(reference.isotonic[i]!, 9);
      }

      for (const [i, [a, b]] of discordant.entries()) {
        expect(mcnemar(a, b)).toBeCloseTo(reference.mcnemar[i]!, 9);
      }
      const sorted = presentations.map(({ score }) => score).toSorted((a, b) => a - b);
      for (const [i, share] of [0.025, 0.5, 0.975].entries()) {
        expect(quantile(sorted, share)).toBeCloseTo(reference.quantiles[i]!, 9);
      }
    },
  );
});
