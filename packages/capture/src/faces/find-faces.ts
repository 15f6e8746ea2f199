import { createFacePoints, type Point } from './face-points.js';
import type { FaceBox } from './judge-faces.js';
import type { ModelManifest } from './layers.js';
import { createTinyFace } from './tiny-face.js';

/** Finds the faces on a square canvas, in its pixels. `rgba` are the same pixels. */
export type FindFaces = (canvas: HTMLCanvasElement, rgba: Uint8ClampedArray) => Promise<FaceBox[]>;

/** Finds the points of the one face that fills a square canvas of `POINTS_SIDE` pixels. */
export type FindPoints = (rgba: Uint8ClampedArray) => Promise<Point[]>;

/** The browser's own detector, which no type library of TypeScript knows. */
interface BrowserFaceDetector {
  detect(image: CanvasImageSource): Promise<{ boundingBox: DOMRectReadOnly }[]>;
}
declare global {
  interface Window {
    FaceDetector?: new (options: object) => BrowserFaceDetector;
  }
  interface Navigator {
    /** Chromium only. */
    connection?: { saveData?: boolean; effectiveType?: string };
  }
}

/**
 * Resolves to the browser's face detector where it has one, otherwise to the tiny model, 193 kB from
 * `assets`; to `undefined` if the network is too slow for it or the model cannot be loaded. The page works
 * without: then the first hint about the face comes from the gateway.
 */
export async function openFaceFinder(assets: URL): Promise<FindFaces | undefined> {
  return (await openBrowserDetector()) ?? (isSlow() ? undefined : loadTinyFace(assets));
}

async function openBrowserDetector(): Promise<FindFaces | undefined> {
  if (!window.FaceDetector) return undefined;
  try {
    const detector = new window.FaceDetector({ fastMode: true, maxDetectedFaces: 4 });
    // Some browsers have the class but not the service behind it.
    await detector.detect(document.createElement('canvas'));
    return async (canvas) => {
      const faces = await detector.detect(canvas);
      return faces.map(({ boundingBox }) => boundingBox);
    };
  } catch {
    return undefined;
  }
}

function isSlow(): boolean {
  const { saveData = false, effectiveType = '4g' } = navigator.connection ?? {};
  return saveData || effectiveType.endsWith('2g');
}

async function loadTinyFace(assets: URL): Promise<FindFaces | undefined> {
  const find = await loadModel(assets, 'tiny-face', createTinyFace);
  return find && (async (canvas, rgba) => find(rgba, canvas.width));
}

/**
 * Resolves to the model that finds the points of a face, 82 kB from `assets`; to `undefined` like
 * `openFaceFinder`. The points of a browser's detector are not used: they differ from one system to the
 * next, and the limits of `judgeTurn` hold for these.
 */
export async function openFacePoints(assets: URL): Promise<FindPoints | undefined> {
  const find = isSlow() ? undefined : await loadModel(assets, 'face-points', createFacePoints);
  return find && (async (rgba) => find(rgba));
}

type CreateModel<Model> = (manifest: ModelManifest, weights: Uint8Array) => Model;

async function loadModel<Model>(
  assets: URL,
  name: string,
  create: CreateModel<Model>,
): Promise<Model | undefined> {
  try {
    const [manifest, weights] = await Promise.all(
      [`${name}.json`, `${name}.bin`].map(async (file) => {
        const response = await fetch(new URL(file, assets), { credentials: 'omit' });
        if (!response.ok) throw new Error(`${file}: HTTP ${response.status}`);
        return response;
      }),
    );
    const [first] = (await manifest!.json()) as ModelManifest[];
    return create(first!, new Uint8Array(await weights!.arrayBuffer()));
  } catch {
    return undefined;
  }
}
