// Whether two systems differ on the same images: paired differences, and McNemar's test at the cut
// points.
import { readFile } from 'node:fs/promises';
import {
  type EvaluatedImage,
  type Evaluation,
  EVALUATION_FORMAT,
  toPresentation,
} from './evaluation.js';
import {
  type BootstrapOptions,
  comparePaired,
  type Difference,
  mcnemar,
} from './statistics/intervals.js';
import { type MeasureName, measureNames } from './statistics/measures.js';
import type { Label } from './statistics/score-curve.js';

export interface Comparison {
  a: string;
  b: string;
  /** Images in both files, and those that both systems scored. */
  images: { matched: number; scored_by_both: number; only_a: number; only_b: number };
  bootstrap: BootstrapOptions;
  /** B minus A. */
  differences: Record<MeasureName, Difference>;
  /** Images that one system got right and the other wrong, each at its own cut points. */
  mcnemar: McNemar[];
}

export interface McNemar {
  cut_point: 'moderate' | 'high';
  label: Label;
  only_a_wrong: number;
  only_b_wrong: number;
  p: number;
}

/** Reads two `evaluation.json`. Throws an Error if one is of another format. */
export async function readEvaluation(path: string): Promise<Evaluation> {
  const evaluation = JSON.parse(await readFile(path, 'utf8')) as Partial<Evaluation>;
  if (evaluation.format === EVALUATION_FORMAT) return evaluation as Evaluation;
  throw new Error(`${path} is not an evaluation.json of the format ${EVALUATION_FORMAT}`);
}

type ImagePair = [a: EvaluatedImage, b: EvaluatedImage];

/** Throws an Error if the files share no image, or disagree about one. */
export function compare(a: Evaluation, b: Evaluation, bootstrap: BootstrapOptions): Comparison {
  const pairs = matchImages(a, b);
  const bothScored = pairs.filter(([ofA, ofB]) => isScored(ofA) && isScored(ofB));
  const cutPoints = { a: a.system.cutPoints, b: b.system.cutPoints };
  const differ = (some: ImagePair[]) =>
    comparePaired(
      {
        a: some.map(([ofA]) => toPresentation(ofA)),
        b: some.map(([, ofB]) => toPresentation(ofB)),
        cutPoints,
      },
      bootstrap,
    );
  const ofScored = differ(bothScored);
  const ofAll = differ(pairs);
  const differences = measureNames.map((name) => [
    name,
    countsFailures(name) ? ofAll[name] : ofScored[name],
  ]);
  return {
    a: describeSystem(a),
    b: describeSystem(b),
    images: {
      matched: pairs.length,
      scored_by_both: bothScored.length,
      only_a: a.images.length - pairs.length,
      only_b: b.images.length - pairs.length,
    },
    bootstrap,
    differences: Object.fromEntries(differences) as Comparison['differences'],
    mcnemar: (['moderate', 'high'] as const).flatMap((cut) =>
      (['attack', 'bona-fide'] as const).map((label) =>
        countDiscordant(bothScored, { cut, label, cutPoints }),
      ),
    ),
  };
}

function isScored({ score }: EvaluatedImage): boolean {
  return score !== undefined;
}

/** Measures over all presentations; the others need a score from both systems. */
function countsFailures(name: MeasureName): boolean {
  return /nrr$|acquisition|accept|reject|riapar/.test(name);
}

function describeSystem({ system, date }: Evaluation): string {
  return `${system.model} (${system.profile}, ${system.where}, settings ${system.settings ?? 'unknown'}, ${date})`;
}

function matchImages(a: Evaluation, b: Evaluation): ImagePair[] {
  const byPath = new Map(b.images.map((image) => [image.path, image]));
  const pairs = a.images.flatMap((image): ImagePair[] => {
    const other = byPath.get(image.path);
    return other ? [[image, other]] : [];
  });
  if (pairs.length === 0) throw new Error('the two files have no image in common');
  for (const [ofA, ofB] of pairs) {
    const sameFile = !ofA.sha256 || !ofB.sha256 || ofA.sha256 === ofB.sha256;
    if (sameFile && ofA.label === ofB.label) continue;
    throw new Error(`${ofA.path} has another content or label in the second file`);
  }
  return pairs;
}

interface Discordance {
  cut: 'moderate' | 'high';
  label: Label;
  cutPoints: { a: Evaluation['system']['cutPoints']; b: Evaluation['system']['cutPoints'] };
}

function countDiscordant(pairs: ImagePair[], { cut, label, cutPoints }: Discordance): McNemar {
  const isWrong = ({ score }: EvaluatedImage, from: number) =>
    Math.round(score! * 1e5) / 1e5 >= from !== (label === 'attack');
  const wrong = pairs
    .filter(([{ label: own }]) => own === label)
    .map(([ofA, ofB]) => [isWrong(ofA, cutPoints.a[cut]), isWrong(ofB, cutPoints.b[cut])]);
  const onlyA = wrong.filter(([byA, byB]) => byA && !byB).length;
  const onlyB = wrong.filter(([byA, byB]) => byB && !byA).length;
  const p = mcnemar(onlyA, onlyB);
  return { cut_point: cut, label, only_a_wrong: onlyA, only_b_wrong: onlyB, p };
}
