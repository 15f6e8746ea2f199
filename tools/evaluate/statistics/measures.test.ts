import { describe, expect, it } from 'vitest';
import { measure, type Measures } from './measures.js';
import { type Label, type Presentation, rank } from './score-curve.js';

const cutPoints = { moderate: 0.4, high: 0.7 };

function presentations(label: Label, scores: number[], species = 'print'): Presentation[] {
  return scores.map((score) => ({ label, species, source: 'one', score }));
}

function failures(label: Label, failure: NonNullable<Presentation['failure']>, count: number) {
  return Array.from({ length: count }, () => ({ label, species: 'print', source: 'one', failure }));
}

function measureScores(attack: number[], bonaFide: number[]): Measures {
  const all = [...presentations('attack', attack), ...presentations('bona-fide', bonaFide)];
  return measure(rank(all), cutPoints);
}

describe('ranking measures', () => {
  it('give AUC 1 for separated scores, 0.5 for equal ones and 0 for inverted ones', () => {
    expect(measureScores([0.8, 0.9], [0.1, 0.2]).auc).toBe(1);
    expect(measureScores([0.5, 0.5], [0.5, 0.5]).auc).toBe(0.5);
    expect(measureScores([0.1], [0.9]).auc).toBe(0);
  });

  it('give the EER where both errors are closest', () => {
    expect(measureScores([0.8, 0.9], [0.1, 0.2]).eer).toBe(0);
    // At 0.6 one attack of four (0.3) is missed, and one bona fide of four (0.7) is refused.
    expect(measureScores([0.3, 0.6, 0.8, 0.9], [0.1, 0.2, 0.4, 0.7]).eer).toBe(0.25);
  });

  it('give the worse EER of two cut points with the same gap', () => {
    // One attack, two bona fide: at 0.5 APCER 0 and BPCER 1/2, at 0.6 APCER 1 and BPCER 1/2.
    expect(measureScores([0.5], [0.4, 0.6]).eer).toBe(0.75);
  });

  it('give the lowest APCER that keeps the BPCER', () => {
    const bonaFide = Array.from({ length: 20 }, (_, i) => i / 100); // 0 to 0.19
    // One bona fide of twenty may be called an attack: from 0.185 on, and one attack lies below.
    const found = measureScores([0.05, 0.185, 0.19, 0.5], bonaFide);
    expect(found.apcer_at_bpcer_5).toBe(0.25);
    // None of twenty may be called one at 1 %: only 0.5 lies above all.
    expect(found.apcer_at_bpcer_1).toBe(0.75);
    // Two of twenty at 10 %: 0.18 and 0.19.
    expect(found.apcer_at_bpcer_10).toBe(0.25);
  });

  it('give APCER 1 if every cut point that catches an attack exceeds the BPCER', () => {
    expect(measureScores([0.1, 0.2], [0.9]).apcer_at_bpcer_1).toBe(1);
  });

  it('give the lowest BPCER that keeps the APCER, of all attacks and of the worst species', () => {
    const attacks = [
      ...presentations('attack', [0.2, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8], 'print'),
      ...presentations('attack', [0.3, 0.9], 'mask'),
    ];
    const bonaFide = presentations('bona-fide', [0.1, 0.25, 0.35, 0.85]);
    const found = measure(rank([...attacks, ...bonaFide]), cutPoints);
    // At 10 %, one of twelve may be missed: the highest cut point is 0.3.
    expect(found.bpcer10).toBe(0.5);
    expect(found.bpcer20).toBe(0.75);
    // One print of ten may be missed, but no mask of two: 0.3 misses the print only.
    expect(found.bpcer10_worst).toBe(0.5);
    expect(found.bpcer100_worst).toBe(0.75);
  });

  it('are undefined without one of the classes, and never 0 or 1', () => {
    const found = measureScores([0.5, 0.9], []);
    const undefinedOnes = [found.auc, found.eer, found.apcer_at_bpcer_5, found.bpcer20, found.ece];
    expect(undefinedOnes).toEqual([NaN, NaN, NaN, NaN, NaN]);
    expect(found.apcer_high).toBe(0.5);
    expect(found.bpcer_high).toBeNaN();
    expect(measureScores([], [0.5]).worst_apcer_high).toBeNaN();
    expect(measure(rank([]), cutPoints).auc).toBeNaN();
  });
});

describe('measures at the cut points', () => {
  const attacks = [
    ...presentations('attack', [0.1, 0.5, 0.8, 0.9], 'print'),
    ...presentations('attack', [0.5, 0.9], 'mask'),
  ];
  const bonaFide = presentations('bona-fide', [0.1, 0.2, 0.3, 0.4, 0.75]);
  const found = measure(
    rank([
      ...attacks,
      ...bonaFide,
      ...failures('attack', 'non_response', 2),
      ...failures('attack', 'acquisition', 2),
      ...failures('bona-fide', 'non_response', 1),
    ]),
    cutPoints,
  );

  it('are APCER of all and of the worst species, BPCER, and ACER of the worst species', () => {
    expect(found.apcer_high).toBe(3 / 6);
    expect(found.worst_apcer_high).toBe(1 / 2);
    expect(found.bpcer_high).toBeCloseTo(1 / 5, 12);
    expect(found.acer_high).toBeCloseTo((1 / 2 + 1 / 5) / 2, 12);
    expect(found.apcer_moderate).toBe(1 / 6);
    expect(found.worst_apcer_moderate).toBe(1 / 4);
    // A score equal to the cut point counts as an attack.
    expect(found.bpcer_moderate).toBeCloseTo(2 / 5, 12);
  });

  it('count non-responses apart from images that were refused', () => {
    // Ten attacks: two refused as images, of the other eight two without an answer.
    expect(found.apnrr).toBe(2 / 8);
    expect(found.attack_acquisition_failure).toBe(2 / 10);
    expect(found.bpnrr).toBe(1 / 6);
    expect(found.bona_fide_acquisition_failure).toBe(0);
  });

  it('bound RIAPAR by the attacks accepted and the bona fide not accepted, of all presented', () => {
    expect(found.attack_accept_high).toBe(3 / 10);
    // One of six without an answer, one refused at HIGH.
    expect(found.bona_fide_reject_high).toBeCloseTo(2 / 6, 12);
    expect(found.riapar_bound_high).toBeCloseTo(3 / 10 + 2 / 6, 12);
  });

  it('compare the five decimals that a caller sees, as verdicts do', () => {
    const at = measureScores([0.699996], [0.699994]);
    expect(at.apcer_high).toBe(0);
    expect(at.bpcer_high).toBe(0);
  });
});

describe('calibration measures', () => {
  it('are the mean squared error, and the gap between score and share of attacks per bin', () => {
    const found = measureScores([0.9, 0.8], [0.1, 0.85]);
    expect(found.brier).toBeCloseTo((0.1 ** 2 + 0.2 ** 2 + 0.1 ** 2 + 0.85 ** 2) / 4, 12);
    // Bins: 0.1 alone, gap 0.1; 0.8 and 0.85 with one attack, gap 0.65; 0.9 alone, gap 0.1.
    expect(found.ece).toBeCloseTo((0.1 + 0.65 + 0.1) / 4, 12);
  });
});

it('a weight of two is the same as the presentation twice', () => {
  const once = [
    ...presentations('attack', [0.2, 0.7, 0.9]),
    ...presentations('bona-fide', [0.1, 0.3, 0.75]),
  ];
  const weights = [2, 1, 0, 1, 3, 1];
  const repeated = once.flatMap((one, i) => Array.from({ length: weights[i]! }, () => one));
  expect(measure(rank(once), cutPoints, weights)).toEqual(measure(rank(repeated), cutPoints));
});

it('a score outside 0..1 is refused', () => {
  expect(() => measureScores([1.2], [0.1])).toThrow('between 0 and 1');
  expect(() => measureScores([NaN], [0.1])).toThrow('between 0 and 1');
});
