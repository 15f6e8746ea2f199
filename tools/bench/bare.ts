import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { inspectHeader } from '@livegate/core/domain';
import { createDecodeImage } from '@livegate/worker/inference/decode/decode-image';
import { detectFaces } from '@livegate/worker/inference/detect-faces';
import { reuseBatch } from '@livegate/worker/inference/picture';
import { chooseFace } from '@livegate/worker/inference/pipeline';
import { distinctViews } from '@livegate/worker/inference/score-faces';
import { loadModels } from '@livegate/worker/models/load-models';
import { openSession } from '@livegate/worker/models/open-session';
import type { Bench } from './bench.js';
import type { Rate } from './rounds.js';

const decodeImage = createDecodeImage(1);

/** The workerData of a bare thread. */
export interface BareWork {
  modelsDir: string;
  image: Uint8Array;
  /** Images per batch, and crops per image for the classifier. */
  batch: number;
  views: number;
  intraOpThreads: number;
  seconds: number;
}

/**
 * Measures the upper bound of the throughput: one thread per engine only decodes the JPEG and runs the
 * models on empty tensors, with the batch size and crop count of the pipeline.
 */
export async function runBare(
  { modelsDir, layout, seconds }: Pick<Bench, 'modelsDir' | 'layout' | 'seconds'>,
  image: Buffer,
): Promise<Rate> {
  const { engines, maxBatch: batch, intraOpThreads } = layout;
  const views = await countViews(modelsDir, image);
  const workerData: BareWork = { modelsDir, image, batch, views, intraOpThreads, seconds };
  const file = new URL('./programs/bare-thread.js', import.meta.url);
  const rates = await Promise.all(
    Array.from({ length: engines }, async () => {
      const thread = new Worker(file, { workerData });
      const [perSecond] = (await once(thread, 'message')) as [number];
      await thread.terminate();
      return perSecond;
    }),
  );
  return { perSecond: rates.reduce((a, b) => a + b), latenciesMs: [] };
}

/** The number of distinct views, which is the number of crops that the pipeline classifies. */
export async function countViews(modelsDir: string, image: Buffer): Promise<number> {
  const { detector, classifiers } = await loadModels(modelsDir);
  const options = { executionProvider: 'cpu', deviceId: 0, intraOpThreads: 1 } as const;
  const session = await openSession(detector, options);
  const picture = await decodeImage(image, inspectHeader(image, 52_000_000));
  const takeBatch = reuseBatch(detector.input);
  const faceDetector = { model: detector, session, takeBatch, scoreThreshold: 0.9 };
  const found = await detectFaces(faceDetector, [picture]);
  await session.close();
  const face = chooseFace(found[0]!, 0.25);
  if (face.kind !== 'one') return 0;
  return distinctViews({ picture, face: face.box }, classifiers[0]!).views.length;
}
