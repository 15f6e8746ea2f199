import type { Classifier, View } from '../model-manifest.js';
import { leavesPicture } from './crop-view.js';
import type { Box, Picture } from './picture.js';

export interface FaceInPicture {
  picture: Picture;
  face: Box;
}

export interface DistinctViews {
  views: View[];
  /** For each view of the model, in order, which of `views` shows the same pixels. */
  shownBy: number[];
}

/**
 * The views of a face that differ. Inside the picture all fills show the same pixels, so that most
 * selfies need two or three runs of the classifier for its four views.
 */
export function distinctViews(
  { picture, face }: FaceInPicture,
  { views, resize, input }: Pick<Classifier, 'views' | 'resize' | 'input'>,
): DistinctViews {
  const distinct: View[] = [];
  const shownBy = views.map((view) => {
    const fillMatters = leavesPicture(picture, { face, view, resize }, input);
    const known = distinct.findIndex(
      ({ scale, fill }) => scale === view.scale && (fill === view.fill || !fillMatters),
    );
    return known >= 0 ? known : distinct.push(view) - 1;
  });
  return { views: distinct, shownBy };
}
