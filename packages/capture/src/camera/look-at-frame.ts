import { POINTS_SIDE } from '../faces/face-points.js';
import type { FindFaces, FindPoints } from '../faces/find-faces.js';
import { type FaceBox, type FaceWeakness, judgeFaces, largestFace } from '../faces/judge-faces.js';
import { isTurned } from '../faces/judge-turn.js';
import {
  type Area,
  findWeakness,
  type FrameWeakness,
  type Luma,
  measureFrame,
  scoreFrame,
  toLuma,
} from './measure-frame.js';

/** The live checks run on a square canvas of this side. */
const SMALL = 160;
/** When that canvas shows no good face, the search is repeated on this one: small faces are missed there. */
const LARGER = 224;

/** What has been loaded so far. */
export interface Finders {
  findFaces?: FindFaces | undefined;
  findPoints?: FindPoints | undefined;
}

export interface FrameLook {
  weakness: FaceWeakness | FrameWeakness | 'face_turned' | undefined;
  score: number;
}

/** Judges one frame after the other, each compared with the one before. */
export function createLook(video: HTMLVideoElement) {
  const [reduce, reduceLess] = [createSmallCanvas(SMALL), createSmallCanvas(LARGER)];
  const reduceFace = createSmallCanvas(POINTS_SIDE);
  let before: Luma | undefined;

  return async (frame: HTMLCanvasElement, finders: Finders): Promise<FrameLook> => {
    const { findFaces, findPoints } = finders;
    const seen = seenPart(video);
    const small = reduce(frame, seen);
    const { width, height } = small;
    const luma = toLuma(small.rgba, SMALL, SMALL);
    let faces = findFaces && (await findIn(small, findFaces));
    if (findFaces && faces && judgeFaces(faces, small)) {
      const larger = await findIn(reduceLess(frame, seen), findFaces);
      if (larger && larger.length > faces.length) faces = larger;
    }
    const face = faces && largestFace(faces);
    const area = face ? inside(face, { width, height }) : ovalArea({ width, height });
    const measures = measureFrame(luma, area, before);
    before = luma;
    const ofFace = faces && judgeFaces(faces, { width, height });
    const ofFrame = findWeakness(measures);
    // In the dark no face is found: the light comes first there.
    const weakness = ofFace === 'face_not_detected' ? (lightOf(ofFrame) ?? ofFace) : ofFace;
    const score = scoreFrame(measures);
    if (weakness ?? lightOf(ofFrame)) return { weakness: weakness ?? ofFrame, score };
    // In bad light the points are not where they seem to be. While the head moves, a turn is the better hint.
    const square = face && findPoints && reduceFace(frame, squareAround(face, seen));
    const points = square && (await findPoints(square.rgba).catch(() => undefined));
    return { weakness: points && isTurned(points) ? 'face_turned' : ofFrame, score };
  };
}

/** In pixels of the canvas of the checks; `undefined` if the detector failed. */
async function findIn({ canvas, rgba }: SmallPicture, findFaces: FindFaces) {
  const faces = await findFaces(canvas, rgba).catch(() => undefined);
  const scale = SMALL / canvas.width;
  return faces?.map(({ x, y, width, height }) => ({
    x: x * scale,
    y: y * scale,
    width: width * scale,
    height: height * scale,
  }));
}

interface SmallPicture {
  canvas: HTMLCanvasElement;
  rgba: Uint8ClampedArray;
  /** Of the picture, in the upper left of the canvas. The rest is black. */
  width: number;
  height: number;
}

function createSmallCanvas(side: number) {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = side;
  const context = canvas.getContext('2d', { willReadFrequently: true })!;

  return (frame: HTMLCanvasElement, part: Area): SmallPicture => {
    const scale = side / Math.max(part.width, part.height);
    const [width, height] = [Math.round(part.width * scale), Math.round(part.height * scale)];
    context.fillRect(0, 0, side, side);
    context.drawImage(frame, part.x, part.y, part.width, part.height, 0, 0, width, height);
    return { canvas, rgba: context.getImageData(0, 0, side, side).data, width, height };
  };
}

const lightOf = (weakness: FrameWeakness | undefined) =>
  weakness === 'image_too_dark' || weakness === 'image_too_bright' ? weakness : undefined;

/** The part of the picture that the page shows: 4:3 of a landscape picture, 4:5 of a portrait one. */
function seenPart({ videoWidth, videoHeight }: HTMLVideoElement): Area {
  const aspect = videoWidth > videoHeight ? 4 / 3 : 4 / 5;
  const width = Math.min(videoWidth, videoHeight * aspect);
  const height = Math.min(videoHeight, videoWidth / aspect);
  return { x: (videoWidth - width) / 2, y: (videoHeight - height) / 2, width, height };
}

/** Where the face belongs: the box around the middle of the guide. */
function ovalArea({ width, height }: { width: number; height: number }): Area {
  const shorter = Math.min(width, height);
  return inside(
    {
      x: width / 2 - 0.2 * shorter,
      y: height / 2 - 0.25 * shorter,
      width: 0.4 * shorter,
      height: 0.5 * shorter,
    },
    { width, height },
  );
}

/** In whole pixels, and at least 3x3 for the measures. */
function inside(box: FaceBox, { width, height }: { width: number; height: number }): Area {
  const x = Math.min(Math.max(Math.floor(box.x), 0), width - 3);
  const y = Math.min(Math.max(Math.floor(box.y), 0), height - 3);
  return {
    x,
    y,
    width: Math.max(Math.min(Math.ceil(box.width), width - x), 3),
    height: Math.max(Math.min(Math.ceil(box.height), height - y), 3),
  };
}

/** The square around a box of the small canvas, in pixels of the camera. It may reach beyond the picture. */
function squareAround(box: FaceBox, seen: Area): Area {
  const scale = Math.max(seen.width, seen.height) / SMALL;
  const side = scale * Math.max(box.width, box.height);
  return {
    x: seen.x + scale * (box.x + box.width / 2) - side / 2,
    y: seen.y + scale * (box.y + box.height / 2) - side / 2,
    width: side,
    height: side,
  };
}
