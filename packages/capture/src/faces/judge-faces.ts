/** Pixels of the picture that was searched. */
export interface FaceBox {
  x: number;
  y: number;
  width: number;
  height: number;
}

export type FaceWeakness =
  | 'face_not_detected'
  | 'too_many_faces'
  | 'face_too_small'
  | 'face_too_close'
  | 'face_cropped'
  | 'face_off_center';

/**
 * The oval of the guide is 0.72 of the picture's shorter side high, and a face that fills it is found as
 * a box of about 0.42. These limits are stricter than the gateway's: a frame that passes here passes there.
 */
const limits = { minHeight: 0.27, maxHeight: 0.62, maxOffset: 0.17, otherFace: 0.5 };

/** The longer side of a face: a turned head is narrow. */
const sizeOf = ({ width, height }: FaceBox) => Math.max(width, height);

/** The largest face, which is the person's. */
export function largestFace(faces: FaceBox[]): FaceBox | undefined {
  return [...faces].sort((a, b) => sizeOf(b) - sizeOf(a))[0];
}

/** What is wrong with the faces of a picture of this size; `undefined` if nothing is. */
export function judgeFaces(
  faces: FaceBox[],
  picture: { width: number; height: number },
): FaceWeakness | undefined {
  const face = largestFace(faces);
  if (!face) return 'face_not_detected';
  const others = faces.filter((other) => other !== face);
  if (others.some((other) => sizeOf(other) > limits.otherFace * sizeOf(face))) {
    return 'too_many_faces';
  }
  const shorter = Math.min(picture.width, picture.height);
  const size = sizeOf(face) / shorter;
  if (size < limits.minHeight) return 'face_too_small';
  if (size > limits.maxHeight) return 'face_too_close';
  const offsetX = Math.abs(face.x + face.width / 2 - picture.width / 2) / shorter;
  const offsetY = Math.abs(face.y + face.height / 2 - picture.height / 2) / shorter;
  if (Math.max(offsetX, offsetY) > limits.maxOffset) return 'face_off_center';
  return undefined;
}
