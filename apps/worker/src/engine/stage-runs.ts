import { detectFaces } from '../inference/detect-faces.js';
import type { PadRun } from '../inference/picture.js';
import type { Stages } from '../inference/pipeline.js';
import { classifyFaces } from '../inference/score-faces.js';
import type { EngineSpec } from './open-engine.js';

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

/**
 * How many images or views the tensor of a run has; `perImage` is 1, or the views of an image. On
 * an accelerator all runs have the size of a full batch. ONNX Runtime searches cuDNN's convolution
 * algorithms whenever a tensor has another size than the one before, even one that it had earlier:
 * 0.7 to 3 s for each model on an H100 (ONNX Runtime 1.30, 2026-11-26). A full batch of 16 with
 * two views takes the same GPU 7 ms.
 */
export function padRunFor(
  { executionProvider, maxBatch = 0 }: Pick<EngineSpec, 'executionProvider' | 'maxBatch'>,
  perImage: number,
): PadRun {
  const least = executionProvider === 'cpu' ? 0 : maxBatch * perImage;
  return (count) => Math.max(count, least);
}

/** The tensor sizes of all runs for 1 to `count` images or views, the largest first. */
export function listRunSizes(count: number, padRun: PadRun): number[] {
  return [...new Set(Array.from({ length: count }, (_, i) => padRun(count - i)))];
}

/**
 * A black square, in pixels. The face is so small that all views are inside the picture, where views
 * that differ only in their fill run once.
 */
const PROOF = { side: 64, face: { left: 29, top: 28, right: 35, bottom: 36 } };
/** As large as a selfie, with views beyond its edge: all loops over pixels run. */
const PRACTICE = { side: 640, face: { left: 200, top: 40, right: 480, bottom: 400 } };

/**
 * Runs detection and classification once on this number of black pictures. Throws an Error that
 * names the first model whose output differs from the catalogue.
 */
export async function proveModels(stages: Stages, images: number): Promise<void> {
  await runStages(stages, { ...PROOF, images });
}

/** Runs them on one picture of a selfie's size. */
export async function practise(stages: Stages): Promise<void> {
  await runStages(stages, { ...PRACTICE, images: 1 });
}

async function runStages(
  stages: Stages,
  { side, face, images }: typeof PROOF & { images: number },
): Promise<void> {
  const picture = { width: side, height: side, pixels: new Uint8Array(3 * side * side) };
  const faces = Array.from({ length: images }, () => ({ picture, face }));
  await detectFaces(
    stages.detector,
    faces.map((each) => each.picture),
  );
  await classifyFaces(stages, faces);
}
