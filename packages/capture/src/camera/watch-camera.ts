import type { FindFaces } from '../faces/find-faces.js';
import { type FaceBox, type FaceWeakness, judgeFaces, largestFace } from '../faces/judge-faces.js';
import { createAutoCapture } from './auto-capture.js';
import { countFrames, type FrameCount, nextFrame } from './count-frames.js';
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
/** Ten checks a second are enough for a hint, and leave time for the page. */
const CHECK_INTERVAL_MS = 100;
/** Without a face detector, the person gets this long to move into the oval before a frame is good. */
const TIME_TO_AIM_MS = 3000;

export interface Snapshot {
  canvas: HTMLCanvasElement;
  /** When the frame was shown, by `performance.now()`. */
  at: number;
}

/** `guide`: nothing is wrong so far. `hold_still`: wait for the photo, or stop moving. */
export type LiveHint = FaceWeakness | FrameWeakness | 'guide';

export interface WatchOptions {
  /** Aborts when nobody needs the camera any more. */
  signal: AbortSignal;
  faceFinder: Promise<FindFaces | undefined>;
  /** Called with each check; `isGood` while the page waits for the best frame. */
  onHint: (hint: LiveHint, isGood: boolean) => void;
}

export interface CameraWatch {
  /** The best frame of the first good moment. Never settles if there is none. */
  best: Promise<Snapshot>;
  /** The frame of now. */
  shoot(): Snapshot;
  count(): FrameCount;
}

/** Checks the frames of a playing video until the signal aborts. */
export function watchCamera(video: HTMLVideoElement, options: WatchOptions): CameraWatch {
  const { signal } = options;
  const best = new Promise<Snapshot>((resolve, reject) => {
    void findBest(video, options).then((found) => found && resolve(found), reject);
  });
  return {
    best,
    shoot: () => takeSnapshot(video, document.createElement('canvas')),
    count: countFrames(video, signal),
  };
}

/** Resolves to `undefined` when the signal aborts first. */
async function findBest(
  video: HTMLVideoElement,
  { signal, faceFinder, onHint }: WatchOptions,
): Promise<Snapshot | undefined> {
  const auto = createAutoCapture<Snapshot>();
  const look = createLook(video);
  // The first checks do not wait for it.
  const finder: { find?: FindFaces | undefined; isKnown: boolean } = { isKnown: false };
  void faceFinder.then((find) => Object.assign(finder, { find, isKnown: true }));
  const started = performance.now();
  let next = started;
  let spare = document.createElement('canvas');

  while (!signal.aborted) {
    await nextFrame(video);
    const now = performance.now();
    if (now < next || video.videoWidth === 0) continue;
    // Before the checks: they take time, and the best frame must be the one that was checked.
    const snapshot = takeSnapshot(video, spare);
    const { weakness, score } = await look(snapshot.canvas, finder.find);
    next = nextCheckAt(now, performance.now());
    const hasAimed = finder.find ? true : now - started > TIME_TO_AIM_MS;
    const isGood = weakness === undefined && finder.isKnown && hasAimed;
    const winner = auto.step(now, isGood ? { score, frame: snapshot } : undefined);
    if (signal.aborted) return undefined;
    if (winner) return winner;
    if (auto.holds(snapshot)) spare = document.createElement('canvas');
    onHint(weakness ?? (isGood ? 'hold_still' : 'guide'), isGood);
  }
  return undefined;
}

/**
 * On a slow device the page gets as much time as a check took. Firefox prefers callbacks of frames to
 * everything else: without a break, buttons and answers of the network wait for minutes.
 */
export function nextCheckAt(begun: number, ended: number): number {
  return Math.max(begun + CHECK_INTERVAL_MS, ended + (ended - begun));
}

/** Judges one frame after the other, each compared with the one before. */
function createLook(video: HTMLVideoElement) {
  const [reduce, reduceLess] = [createSmallCanvas(SMALL), createSmallCanvas(LARGER)];
  let before: Luma | undefined;

  return async (frame: HTMLCanvasElement, findFaces: FindFaces | undefined) => {
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
    return { weakness: weakness ?? ofFrame, score: scoreFrame(measures) };
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

/** At the resolution of the camera, not mirrored. */
function takeSnapshot(video: HTMLVideoElement, canvas: HTMLCanvasElement): Snapshot {
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext('2d')!.drawImage(video, 0, 0);
  return { canvas, at: performance.now() };
}

export function toJpeg(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) => {
    const done = (blob: Blob | null) => {
      if (blob) resolve(blob);
      else reject(new Error('the browser made no JPEG'));
    };
    canvas.toBlob(done, 'image/jpeg', 0.92);
  });
}
