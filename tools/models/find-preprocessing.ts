import type { Resize, View } from '@livegate/worker/models/catalogue';
import { formatTable } from '../format-table.js';

/** How pixels of 0..255 become input values, in the order RGB: (pixel - subtract) * multiply. */
export const ranges = {
  '0..255': { subtract: [0, 0, 0], multiply: [1, 1, 1] },
  '0..1': { subtract: [0, 0, 0], multiply: [1 / 255, 1 / 255, 1 / 255] },
  '-1..1': { subtract: [127.5, 127.5, 127.5], multiply: [1 / 127.5, 1 / 127.5, 1 / 127.5] },
  /** Mean and standard deviation of ImageNet, as torchvision normalizes. */
  ImageNet: { subtract: [123.675, 116.28, 103.53], multiply: [1 / 58.395, 1 / 57.12, 1 / 57.375] },
} satisfies Record<string, Record<'subtract' | 'multiply', [number, number, number]>>;

export type Range = keyof typeof ranges;

export const channelOrders = ['RGB', 'BGR'] as const;

export const views: View[] = [1, 1.5, 2, 2.7, 4].flatMap((scale) =>
  (['zero', 'reflect'] as const).map((fill) => ({ scale, fill })),
);

/** One way to feed the model and to read it. */
export interface Preprocessing {
  channels: (typeof channelOrders)[number];
  range: Range;
  liveClass: number;
  resize: Resize;
  /** Indices in `views`; their logits are averaged. */
  shown: number[];
}

export interface LabelledFace {
  source: string;
  isAttack: boolean;
  /** The share of each of the `views` that lies inside the picture, 0..1. */
  inside: number[];
}

export type Way = Omit<Preprocessing, 'shown'>;

/** The logit of each face, in the order of the faces, for one way to feed one view. */
export type LogitsOf = (way: Way, view: number) => Promise<number[]>;

export interface FoundPreprocessing {
  best: Preprocessing;
  /** Of the chosen way, of the faces. */
  logits: number[];
  evidence: string;
}

/** A second view or another resize must gain this much AUC: less is within the noise. */
const CLEAR_GAIN = 0.005;
/** Below this median share of a view inside the pictures, the evidence warns. */
const LEAST_INSIDE = 0.5;
/** Of a model that does not separate the images at all: chance is 0.5. */
const LEAST_AUC = 0.6;

/**
 * Tries every combination. The way to feed and to read the model is the one that separates attacks
 * best on average over all views, because one view may separate labels by how a source cut its
 * photos. Its best view follows, then a second view and another resize if they clearly gain. Throws
 * an Error if nothing separates the images.
 */
export async function findPreprocessing(
  faces: LabelledFace[],
  classes: number,
  logitsOf: LogitsOf,
): Promise<FoundPreprocessing> {
  const rate = async (trial: Preprocessing) => {
    return { trial, auc: separation(faces, await averageOf(trial, logitsOf)) };
  };
  const ways = await Promise.all(
    listWays(classes).map(async (way) => {
      const singles = await Promise.all(views.map((_, view) => rate({ ...way, shown: [view] })));
      return { way, singles, auc: mean(singles.map(({ auc }) => auc)) };
    }),
  );
  const { singles } = bestOf(ways);
  const single = bestOf(singles);
  const others = views.flatMap((_, view) => (view === single.trial.shown[0] ? [] : [view]));
  const pairs = others.map((view) => ({ ...single.trial, shown: [...single.trial.shown, view] }));
  const pair = bestOf(await Promise.all(pairs.map(rate)));
  const chosen = pair.auc > single.auc + CLEAR_GAIN ? pair : single;
  const byArea = await rate({ ...chosen.trial, resize: 'area' });
  const best = byArea.auc > chosen.auc + CLEAR_GAIN ? byArea : chosen;
  const evidence = describeEvidence({ ways, singles, single, pair, chosen, byArea, faces });
  if (best.auc < LEAST_AUC) {
    throw new Error(`no preprocessing separates attacks from bona fide faces:\n${evidence}`);
  }
  return { best: best.trial, logits: await averageOf(best.trial, logitsOf), evidence };
}

function listWays(classes: number): Way[] {
  return channelOrders.flatMap((channels) =>
    (Object.keys(ranges) as Range[]).flatMap((range) =>
      Array.from({ length: classes }, (_, liveClass) => ({
        channels,
        range,
        liveClass,
        resize: 'bilinear' as const,
      })),
    ),
  );
}

async function averageOf({ shown, ...way }: Preprocessing, logitsOf: LogitsOf) {
  const byView = await Promise.all(shown.map((view) => logitsOf(way, view)));
  return byView[0]!.map((_, face) => byView.reduce((sum, of) => sum + of[face]!, 0) / shown.length);
}

/**
 * The mean of two AUC: of all faces, and of the sources that have both labels, each alone. The first
 * also sees sources with one label, the second cannot be won by telling sources apart.
 */
function separation(faces: LabelledFace[], logits: number[]): number {
  const sources = [...new Set(faces.map(({ source }) => source))];
  const groups = sources
    .map((source) => split(faces, logits, (face) => face.source === source))
    .filter(({ attack, bonaFide }) => attack.length > 0 && bonaFide.length > 0);
  const aucOf = ({ attack, bonaFide }: ReturnType<typeof split>) =>
    areaUnderCurve(attack, bonaFide);
  const pooled = aucOf(split(faces, logits));
  return groups.length > 0 ? (pooled + mean(groups.map(aucOf))) / 2 : pooled;
}

/** The share of pairs in which the attack scores above the bona fide face; ties count half. */
function areaUnderCurve(attack: number[], bonaFide: number[]): number {
  const wins = attack.flatMap((a) => bonaFide.map((b) => (a === b ? 0.5 : Number(a > b))));
  return mean(wins);
}

function mean(values: number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** The scores of attacks and of bona fide faces, of the faces that `isIn` selects. */
export function split(
  faces: LabelledFace[],
  scores: number[],
  isIn: (face: LabelledFace) => boolean = () => true,
) {
  const of = (isAttack: boolean) =>
    scores.filter((_, i) => faces[i]!.isAttack === isAttack && isIn(faces[i]!));
  return { attack: of(true), bonaFide: of(false) };
}

interface Rated {
  trial: Preprocessing;
  auc: number;
}

function bestOf<Each extends { auc: number }>(rated: Each[]): Each {
  return rated.reduce((best, each) => (each.auc > best.auc ? each : best));
}

interface Search {
  ways: { way: Way; auc: number }[];
  /** Of the chosen way, in the order of the views. */
  singles: Rated[];
  single: Rated;
  pair: Rated;
  /** The better of the two. */
  chosen: Rated;
  byArea: Rated;
  faces: LabelledFace[];
}

/** For every question, the chosen answer and the best of the other answers. */
function describeEvidence(search: Search): string {
  const { single, pair, chosen, byArea, faces } = search;
  const attacks = faces.filter(({ isAttack }) => isAttack).length;
  const bonaFide = faces.length - attacks;
  const error = standardError(chosen.auc, attacks, bonaFide);
  const others = search.singles.filter((each) => each !== single);
  const next = bestOf(others);
  return [
    formatTable(
      ['', 'best', 'AUC', 'instead', 'AUC'],
      [
        ...describeWays(search),
        row(
          'view',
          [describeViews(single.trial), single.auc],
          [describeViews(next.trial), next.auc],
        ),
        row(
          'two views',
          [describeViews(single.trial), single.auc],
          [describeViews(pair.trial), pair.auc],
        ),
        row('resize', ['bilinear', chosen.auc], ['area', byArea.auc]),
      ],
    ),
    '  The first three lines: mean over all views.',
    `  ${attacks} attacks, ${bonaFide} bona fide faces: the standard error of an AUC is about ` +
      `${error.toFixed(3)}.`,
    ...warnOutside(chosen.trial, faces),
  ].join('\n');
}

type Answer = [answer: string, auc: number];

function row(question: string, best: Answer, instead: Answer): string[] {
  return [question, ...[best, instead].flatMap(([answer, auc]) => [answer, auc.toFixed(3)])];
}

function describeWays({ ways, single: { trial } }: Search): string[][] {
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

function warnOutside({ shown }: Preprocessing, faces: LabelledFace[]): string[] {
  const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;
  return shown.flatMap((view) => {
    const inside = median(faces.map((face) => face.inside[view]!));
    if (inside >= LEAST_INSIDE) return [];
    const percent = Math.round(100 * inside);
    return [
      `  Caution: in half of these photos at most ${percent} % of the view ` +
        `${describeViews({ shown: [view] })} lies inside. It may separate them by how they were cut: ` +
        'measure it on others.',
    ];
  });
}

export function describeViews({ shown }: Pick<Preprocessing, 'shown'>): string {
  return shown.map((view) => `${views[view]!.scale} ${views[view]!.fill}`).join(' + ');
}

/** Hanley and McNeil (1982). */
function standardError(auc: number, attacks: number, bonaFide: number): number {
  const [q1, q2] = [auc / (2 - auc), (2 * auc ** 2) / (1 + auc)];
  const variance =
    auc * (1 - auc) + (attacks - 1) * (q1 - auc ** 2) + (bonaFide - 1) * (q2 - auc ** 2);
  return Math.sqrt(variance / (attacks * bonaFide));
}
