import type { View } from '@livegate/worker/models/catalogue';
import { bestOf, describeEvidence, mean, type Rated } from './describe-evidence.js';
import {
  channelOrders,
  type Known,
  type LabelledFace,
  type Preprocessing,
  type Range,
  ranges,
  usualViews,
  type Way,
} from './preprocessing.js';

/** The logit of each face, in the order of the faces, for one way to prepare one view. */
export type LogitsOf = (way: Way, view: View) => Promise<number[]>;

export interface FoundPreprocessing {
  best: Preprocessing;
  /** Of the chosen way, of the faces. */
  logits: number[];
  evidence: string;
}

export interface SearchOptions {
  /** Of the model's output. */
  classes: number;
  known: Known;
}

/** A second view or another resize must gain this much AUC: less is within the noise. */
const CLEAR_GAIN = 0.005;
/** Of a model that does not separate the images at all: chance is 0.5. */
const LEAST_AUC = 0.6;

/**
 * Tries every combination of what is not known. The chosen way is the one that
 * separates attacks best on average over all views, because one view may separate labels by how a
 * source cut its photos. Its best view follows, then a second view and another resize if they clearly
 * gain. Throws an Error if nothing separates the images.
 */
export async function findPreprocessing(
  faces: LabelledFace[],
  { classes, known }: SearchOptions,
  logitsOf: LogitsOf,
): Promise<FoundPreprocessing> {
  const rate = async (trial: Preprocessing): Promise<Rated> => {
    return { trial, auc: separation(faces, await averageOf(trial, logitsOf)) };
  };
  const shown = known.views ? [known.views] : usualViews.map((view) => [view]);
  const ways = await Promise.all(
    listWays(classes, known).map(async (way) => {
      const rated = await Promise.all(shown.map((views) => rate({ ...way, views })));
      return { way, rated, auc: mean(rated.map(({ auc }) => auc)) };
    }),
  );
  const { rated } = bestOf(ways);
  const first = bestOf(rated);
  const pair = known.views
    ? undefined
    : bestOf(await Promise.all(listPairs(first.trial).map(rate)));
  const chosen = pair && pair.auc > first.auc + CLEAR_GAIN ? pair : first;
  const byArea = known.resize ? undefined : await rate({ ...chosen.trial, resize: 'area' });
  const best = byArea && byArea.auc > chosen.auc + CLEAR_GAIN ? byArea : chosen;
  const evidence = describeEvidence({ ways, rated, first, pair, chosen, byArea, best, faces });
  if (best.auc < LEAST_AUC) {
    throw new Error(`no preprocessing separates attacks from bona fide faces:\n${evidence}`);
  }
  return { best: best.trial, logits: await averageOf(best.trial, logitsOf), evidence };
}

function listWays(classes: number, { resize = 'bilinear' }: Known): Way[] {
  return channelOrders.flatMap((channels) =>
    (Object.keys(ranges) as Range[]).flatMap((range) =>
      Array.from({ length: classes }, (_, liveClass) => ({ channels, range, liveClass, resize })),
    ),
  );
}

/** The same with a second view. */
function listPairs(trial: Preprocessing): Preprocessing[] {
  const [first] = trial.views;
  return usualViews
    .filter((view) => view !== first)
    .map((view) => ({ ...trial, views: [...trial.views, view] }));
}

async function averageOf({ views, ...way }: Preprocessing, logitsOf: LogitsOf) {
  const byView = await Promise.all(views.map((view) => logitsOf(way, view)));
  return byView[0]!.map((_, face) => byView.reduce((sum, of) => sum + of[face]!, 0) / views.length);
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

/** The scores of attacks and of bona fide faces, of the faces that `isIn` selects. */
function split(
  faces: LabelledFace[],
  scores: number[],
  isIn: (face: LabelledFace) => boolean = () => true,
) {
  const of = (isAttack: boolean) =>
    scores.filter((_, i) => faces[i]!.isAttack === isAttack && isIn(faces[i]!));
  return { attack: of(true), bonaFide: of(false) };
}
