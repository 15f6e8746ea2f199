import { detectFaces } from '../inference/detect-faces.js';
import type { Stages } from '../inference/pipeline.js';
import { judgeFaces } from '../inference/score-faces.js';

/** Side of the test pictures, in pixels. */
const SIDE = 64;
/**
 * So small that all views are inside the picture, where views that differ only in their fill run
 * once.
 */
const FACE = { left: 29, top: 28, right: 35, bottom: 36 };

/**
 * Runs detection and classification once on this number of black pictures. Throws an Error that
 * names the first model whose output differs from its manifest.
 */
export async function proveModels(stages: Stages, images: number): Promise<void> {
  const picture = { width: SIDE, height: SIDE, pixels: new Uint8Array(3 * SIDE * SIDE) };
  const faces = Array.from({ length: images }, () => ({ picture, face: FACE }));
  await detectFaces(
    stages.detector,
    faces.map((face) => face.picture),
  );
  await judgeFaces(stages.classifiers, faces);
}
