import type { FaceBox } from './judge-faces.js';
import type { ModelManifest } from './layers.js';
import { createTinyFace } from './tiny-face.js';

/** Finds the faces on a square canvas, in its pixels. `rgba` are the same pixels. */
export type FindFaces = (canvas: HTMLCanvasElement, rgba: Uint8ClampedArray) => Promise<FaceBox[]>;

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
  try {
    const [manifest, weights] = await Promise.all(
      ['tiny-face.json', 'tiny-face.bin'].map(async (name) => {
        const response = await fetch(new URL(name, assets), { credentials: 'omit' });
        if (!response.ok) throw new Error(`${name}: HTTP ${response.status}`);
        return response;
      }),
    );
    const [first] = (await manifest!.json()) as ModelManifest[];
    const find = createTinyFace(first!, new Uint8Array(await weights!.arrayBuffer()));
    return async (canvas, rgba) => find(rgba, canvas.width);
  } catch {
    return undefined;
  }
}
