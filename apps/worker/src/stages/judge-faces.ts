import type { FaceInPicture } from './distinct-views.js';
import { scoreFaces } from './score-faces.js';
import type { SpoofClassifier } from './score-faces.js';

/** The score of each face: the mean of what all classifiers say, by weight. */
export async function judgeFaces(
  classifiers: SpoofClassifier[],
  faces: FaceInPicture[],
): Promise<number[]> {
  if (faces.length === 0) return [];
  const weights = classifiers.map(({ model }) => model.weight);
  const scores = await Promise.all(classifiers.map((classifier) => scoreFaces(classifier, faces)));
  return faces.map((_, i) =>
    fuse(
      scores.map((byFace) => byFace[i]!),
      weights,
    ),
  );
}

/** The weighted mean; both lists are in the order of the classifiers. */
function fuse(scores: number[], weights: number[]): number {
  const total = weights.reduce((a, b) => a + b);
  return scores.reduce((sum, score, i) => sum + score * weights[i]!, 0) / total;
}
