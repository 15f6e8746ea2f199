import { detectFaces } from '../inference/detect-faces.js';
import type { Stages } from '../inference/pipeline.js';
import { judgeFaces } from '../inference/score-faces.js';

const SIDE = 64;
/** Small enough that no view of it leaves the picture: then views that differ only there run once. */
const FACE = { left: 29, top: 28, right: 35, bottom: 36 };

/**
 * Runs every stage once, on so many black pictures. Throws an Error naming the first model that does not
 * give what its manifest says.
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
