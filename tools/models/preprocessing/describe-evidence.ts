import type { View } from '@livegate/worker/models/catalogue';
import { formatTable } from '../../format-table.js';
import { describeViews, type LabelledFace, type Preprocessing, type Way } from './preprocessing.js';

export interface Rated {
  trial: Preprocessing;
  auc: number;
}

export interface Search {
  ways: { way: Way; auc: number }[];
  /** Of the chosen way: each usual view alone, or the known views together. */
  rated: Rated[];
  /** The best of them. */
  first: Rated;
  /** Absent if the views are known. */
  pair: Rated | undefined;
  /** The better of the two. */
  chosen: Rated;
  /** Absent if the resize is known. */
  byArea: Rated | undefined;
  /** The better of the last two. */
  best: Rated;
  faces: LabelledFace[];
}

/** Below this median share of a view inside the pictures, the evidence warns. */
const LEAST_INSIDE = 0.5;

/** For every question, the chosen answer and the best of the other answers. */
export function describeEvidence(search: Search): string {
  const { first, pair, chosen, byArea, best, faces } = search;
  const attacks = faces.filter(({ isAttack }) => isAttack).length;
  const bonaFide = faces.length - attacks;
  const error = standardError(chosen.auc, attacks, bonaFide);
  const ways = describeWays(search);
  return [
    formatTable(
      ['', 'best', 'AUC', 'instead', 'AUC'],
      [
        ...ways,
        ...(pair ? describeViewTrials({ ...search, pair }) : []),
        ...(byArea ? [describeResizes({ chosen, byArea, best })] : []),
      ],
    ),
    ...(pair ? [`  The first ${ways.length} lines: mean over all views.`] : []),
    ...(pair ? [] : [`  Known: the views ${describeViews(first.trial.views)}.`]),
    ...(byArea ? [] : [`  Known: the resize ${first.trial.resize}.`]),
    `  ${attacks} attacks, ${bonaFide} bona fide faces: the standard error of an AUC is about ` +
      `${error.toFixed(3)}.`,
    ...chosen.trial.views.flatMap((view) => warnOutside(view, faces)),
  ].join('\n');
}

type Answer = [answer: string, auc: number];

function row(question: string, best: Answer, instead: Answer): string[] {
  return [question, ...[best, instead].flatMap(([answer, auc]) => [answer, auc.toFixed(3)])];
}

function describeWays({ ways, first: { trial } }: Search): string[][] {
  const best = bestOf(ways);
  const questions: [string, (way: Way) => string][] = [
    ['channels', ({ channels }) => channels],
    ['values', ({ range }) => range],
    ['live class', ({ liveClass }) => `${liveClass}`],
  ];
  return questions.flatMap(([name, answer]) => {
    const others = ways.filter(({ way }) => answer(way) !== answer(trial));
    if (others.length === 0) return [];
    const next = bestOf(others);
    return [row(name, [answer(trial), best.auc], [answer(next.way), next.auc])];
  });
}

function describeViewTrials({ rated, first, pair, chosen }: Search & { pair: Rated }): string[][] {
  const answer = ({ trial, auc }: Rated): Answer => [describeViews(trial.views), auc];
  const next = bestOf(rated.filter((each) => each !== first));
  const other = chosen === pair ? first : pair;
  return [
    row('view', answer(first), answer(next)),
    row('two views', answer(chosen), answer(other)),
  ];
}

type Resizes = Pick<Search, 'chosen' | 'best'> & { byArea: Rated };

function describeResizes({ chosen, byArea, best }: Resizes): string[] {
  const other = best === byArea ? chosen : byArea;
  return row('resize', [best.trial.resize, best.auc], [other.trial.resize, other.auc]);
}

function warnOutside(view: View, faces: LabelledFace[]): string[] {
  const inside = median(faces.map((face) => face.insideOf(view.scale)));
  if (inside >= LEAST_INSIDE) return [];
  const percent = Math.round(100 * inside);
  return [
    `  Caution: in half of these photos at most ${percent} % of the view ` +
      `${describeViews([view])} lies inside. It may separate them by how they were cut: ` +
      'measure it on others.',
  ];
}

/** Hanley and McNeil (1982). */
function standardError(auc: number, attacks: number, bonaFide: number): number {
  const [q1, q2] = [auc / (2 - auc), (2 * auc ** 2) / (1 + auc)];
  const variance =
    auc * (1 - auc) + (attacks - 1) * (q1 - auc ** 2) + (bonaFide - 1) * (q2 - auc ** 2);
  return Math.sqrt(variance / (attacks * bonaFide));
}

export function bestOf<Each extends { auc: number }>(rated: Each[]): Each {
  return rated.reduce((best, each) => (each.auc > best.auc ? each : best));
}

export function mean(values: number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
