// Held-out probabilities: each source is judged by a calibration that was fitted without it. Images
// of one source share camera, light and people, so a split by image would measure memory.
import { toProbability } from '@livegate/worker/inference/score-faces';
import { type Fit, type LabelledLogit } from './fit-calibration.js';

export interface Fold<One> {
  heldOut: string;
  train: One[];
  test: One[];
}

/** One fold per source: it is the test, and all others train. */
export function leaveOneSourceOut<One extends { source: string }>(
  all: readonly One[],
): Fold<One>[] {
  const sources = [...new Set(all.map(({ source }) => source))];
  if (sources.length < 2) throw new Error('cross-validation needs at least two sources');
  return sources.map((heldOut) => ({
    heldOut,
    train: all.filter(({ source }) => source !== heldOut),
    test: all.filter(({ source }) => source === heldOut),
  }));
}

/**
 * P(spoof) of each image, in order, by a calibration that saw no image of its source. Throws an Error
 * when a fold shares a source or an image, so that no other split gets through.
 */
export function crossValidate(
  all: readonly LabelledLogit[],
  fit: Fit,
  split: typeof leaveOneSourceOut<LabelledLogit> = leaveOneSourceOut,
): number[] {
  const held = new Map<LabelledLogit, number>();
  for (const fold of split(all)) {
    requireDisjoint(fold);
    const calibration = fit(fold.train);
    for (const one of fold.test) held.set(one, toProbability(one.logit, calibration));
  }
  return all.map((one) => {
    const probability = held.get(one);
    if (probability === undefined) throw new Error(`${one.path} is in no fold`);
    return probability;
  });
}

function requireDisjoint({ heldOut, train, test }: Fold<LabelledLogit>): void {
  const sources = new Set(train.map(({ source }) => source));
  const hashes = new Map(train.map(({ sha256, path }) => [sha256, path]));
  for (const { path, source, sha256 } of test) {
    if (sources.has(source)) {
      throw new Error(
        `leak: source "${source}" is in the training and in the test of "${heldOut}"`,
      );
    }
    const twin = sha256 === undefined ? undefined : hashes.get(sha256);
    if (twin) throw new Error(`leak: ${path} is the same image as ${twin} of another source`);
  }
}
