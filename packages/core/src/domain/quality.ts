import type { ContentPlace, FacePlace } from './image/place-face.js';

/**
 * What makes a verdict weak, with a hint for the person before the camera.
 *
 * The order decides which code comes first, and so which hint the person gets: first where the
 * face is, as moving the camera changes everything else, then the light, then the sharpness, which
 * bad light spoils as well. The codes and hints are part of the HTTP contract.
 */
export const qualityHints = {
  face_too_close: 'move a little further away',
  face_cropped: 'keep your whole face in the picture',
  face_too_small: 'move a little closer',
  image_rotated: 'hold the camera upright',
  face_turned: 'hold your head straight',
  image_too_dark: 'find a brighter place',
  image_too_bright: 'turn away from the strong light',
  image_too_blurry: 'clean the lens and hold still',
  face_off_center: 'bring your face to the center of the picture',
} as const;

export type QualityCode = keyof typeof qualityHints;

/** All codes, the most useful hint first. */
export const qualityCodes = Object.keys(qualityHints) as QualityCode[];

/** Facts about the picture of a face. A face is the longer side of its box. */
export interface QualityMeasures {
  /** The share of the square of 2.7 faces around the face that is inside the picture, 0..1. */
  inside: number;
  /** The least distance of the face box from an edge of the picture, in faces; negative beyond it. */
  margin: number;
  /** The longer side of the face box in pixels of the decoded picture. */
  facePixels: number;
  /** The larger distance of the face from the picture's center, as a share of that side, 0..0.5. */
  offset: number;
  /** 95 % of the face is darker than this luma, 0..255. */
  lightest: number;
  /** The share of the face that is overexposed to white, 0..1. */
  white: number;
  /** The standard deviation of the blur, in faces. */
  blur: number;
  /** How much more symmetrical the face is about a turned axis than about an upright one, -2..2. */
  turn: number;
  /** By how many degrees clockwise the picture was turned before it was judged. */
  rotation: 0 | 90 | 180 | 270;
}

/** What is known about the picture of a face that was scored. */
export interface Quality {
  /** What makes the verdict weak, the most useful hint first; empty for a good picture. */
  codes: QualityCode[];
  face: FacePlace;
  /** Where the judged picture was cut out of the image; absent if it is the whole image. */
  content?: ContentPlace;
  measures: QualityMeasures;
}

/**
 * How a caller hears of a weak image, the weakest policy first: by a response header, in addition
 * by `result.quality` in the body, or by a refusal instead of the verdict.
 */
export const qualityPolicies = ['header', 'report', 'enforce'] as const;

export type QualityPolicy = (typeof qualityPolicies)[number];

/** The strongest of these; `header` if none is given. */
export function strongestPolicy(...policies: (QualityPolicy | undefined)[]): QualityPolicy {
  return qualityPolicies.findLast((policy) => policies.includes(policy)) ?? 'header';
}

/** The limits of a good picture. docs/reference/quality.md has the error rates behind each. */
export const qualityLimits = {
  minInside: 0.4,
  minMargin: 0.05,
  minFacePixels: 40,
  maxOffset: 0.3,
  minLightest: 70,
  maxWhite: 0.2,
  maxBlur: 0.022,
  maxTurn: 0.05,
} as const;

/** The codes of a picture with these measures, the most useful hint first. */
export function judgeQuality(measures: QualityMeasures): QualityCode[] {
  const limits = qualityLimits;
  const isTooSmall = measures.facePixels < limits.minFacePixels;
  const weaknesses: Record<QualityCode, boolean> = {
    face_too_close: measures.inside < limits.minInside,
    face_cropped: measures.margin < limits.minMargin,
    face_too_small: isTooSmall,
    image_rotated: measures.rotation !== 0,
    face_turned: measures.turn > limits.maxTurn,
    image_too_dark: measures.lightest < limits.minLightest,
    image_too_bright: measures.white > limits.maxWhite,
    // A small face has no detail, however sharp its picture is.
    image_too_blurry: !isTooSmall && measures.blur > limits.maxBlur,
    face_off_center: measures.offset > limits.maxOffset,
  };
  return qualityCodes.filter((code) => weaknesses[code]);
}
