import type { FindFaces, FindPoints } from '../faces/find-faces.js';
import { createAutoCapture } from './auto-capture.js';
import { countFrames, type FrameCount, nextFrame } from './count-frames.js';
import { createLook, type Finders, type FrameLook } from './look-at-frame.js';

/** Ten checks a second are enough for a hint, and leave time for the page. */
const CHECK_INTERVAL_MS = 100;
/** Without a face detector, the person gets this long to move into the oval before a frame is good. */
const TIME_TO_AIM_MS = 3000;
/** A hint that may be wrong must not keep a person from the photo: in all, it does for this long. */
const MAX_TURNED_MS = 6000;

export interface Snapshot {
  canvas: HTMLCanvasElement;
  /** When the frame was shown, by `performance.now()`. */
  at: number;
}

/** `guide`: nothing is wrong so far. `hold_still`: wait for the photo, or stop moving. */
export type LiveHint = NonNullable<FrameLook['weakness']> | 'guide';

export interface WatchOptions {
  /** Aborts when nobody needs the camera any more. */
  signal: AbortSignal;
  faceFinder: Promise<FindFaces | undefined>;
  facePoints: Promise<FindPoints | undefined>;
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
  { signal, faceFinder, facePoints, onHint }: WatchOptions,
): Promise<Snapshot | undefined> {
  const auto = createAutoCapture<Snapshot>();
  const look = createLook(video);
  // The first checks do not wait for these.
  const finders: Finders & { isKnown: boolean } = { isKnown: false };
  void faceFinder.then((findFaces) => Object.assign(finders, { findFaces, isKnown: true }));
  void facePoints.then((findPoints) => Object.assign(finders, { findPoints }));
  const turn = createTurnLimit();
  const started = performance.now();
  let next = started;
  let spare = document.createElement('canvas');

  while (!signal.aborted) {
    await nextFrame(video);
    const now = performance.now();
    if (now < next || video.videoWidth === 0) continue;
    // Before the checks: they take time, and the best frame must be the one that was checked.
    const snapshot = takeSnapshot(video, spare);
    const { weakness, score } = await look(snapshot.canvas, finders);
    if (turn.isReached(now, weakness === 'face_turned')) delete finders.findPoints;
    next = nextCheckAt(now, performance.now());
    const hasAimed = finders.findFaces ? true : now - started > TIME_TO_AIM_MS;
    const isGood = weakness === undefined && finders.isKnown && hasAimed;
    const winner = auto.step(now, isGood ? { score, frame: snapshot } : undefined);
    if (signal.aborted) return undefined;
    if (winner) return winner;
    if (auto.holds(snapshot)) spare = document.createElement('canvas');
    onHint(weakness ?? (isGood ? 'hold_still' : 'guide'), isGood);
  }
  return undefined;
}

/** Adds up how long the head has been turned. */
export function createTurnLimit() {
  let [turnedMs, before] = [0, 0];
  return {
    /** After a check at this time, in milliseconds: whether turns no longer count. */
    isReached(at: number, isTurned: boolean): boolean {
      if (isTurned && before > 0) turnedMs += at - before;
      before = isTurned ? at : 0;
      return turnedMs >= MAX_TURNED_MS;
    },
  };
}

/**
 * On a slow device the page gets as much time as a check took. Firefox prefers callbacks of frames to
 * everything else: without a break, buttons and answers of the network wait for minutes.
 */
export function nextCheckAt(begun: number, ended: number): number {
  return Math.max(begun + CHECK_INTERVAL_MS, ended + (ended - begun));
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
