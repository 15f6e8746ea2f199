import { detectFaces } from '../inference/detect-faces.js';
import type { Stages } from '../inference/pipeline.js';
import { classifyFaces } from '../inference/score-faces.js';

/**
 * Runs a batch. If the run throws, each item runs again alone, and only an item that throws alone
 * is answered with its error; `broken` is then the error of the batch. Never throws.
 */
export async function isolateFailures<Item, Result>(
  items: Item[],
  run: (items: Item[]) => Promise<Result[]>,
): Promise<{ answers: (Result | Error)[]; broken?: Error }> {
  try {
    return { answers: await run(items) };
  } catch (error) {
    const broken = error instanceof Error ? error : new Error(String(error));
    if (items.length === 1) return { answers: [broken] };
    const answers: (Result | Error)[] = [];
    for (const item of items) answers.push(...(await isolateFailures([item], run)).answers);
    return { answers, broken };
  }
}

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
  await classifyFaces(stages.classifiers, faces);
}
