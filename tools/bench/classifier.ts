import { loadModels } from '@livegate/worker/load-models';
import { openSession, type ModelSession } from '@livegate/worker/onnx/open-session';
import type { ModelInput } from '@livegate/worker/model-manifest';
import { allocateBatch, normalize, planesOf } from '@livegate/worker/stages/image-tensor';
import sharp from 'sharp';
import { fetchPublishedFiles } from '../models/fetch-published-files.js';
import { freeBatchOf } from '../models/rewrite-model.js';
import type { Part } from './bench.js';
import { interleave, medianRatio } from './rounds.js';

const VIEWS = 4;
const RUNS = 30;

/** What the rewriting of the classifier saves, on one thread, for the four views of an image. */
export const measureClassifier: Part = async ({ modelsDir, photos }) => {
  const [model] = (await loadModels(modelsDir)).classifiers;
  if (!model?.source) throw new Error('the bench compares the default models: your own are in use');
  const [published] = await fetchPublishedFiles([model.source]);
  const options = { executionProvider: 'cpu', deviceId: 0, intraOpThreads: 1 } as const;
  const prepared = await openSession(model, options);
  const original = await openSession({ ...model, bytes: freeBatchOf(published!) }, options);
  const batch = await cutViews(photos.selfie, model.input);
  const times = await interleave(RUNS, {
    prepared: () => timeRun(prepared, batch),
    published: () => timeRun(original, batch),
  });
  const difference = largestDifference(
    await logitsOf(prepared, batch, model.output.name),
    await logitsOf(original, batch, model.output.name),
  );
  await Promise.all([prepared.close(), original.close()]);
  const ratio = medianRatio(times.prepared, times.published);
  return [
    { name: 'classifier, prepared / published', value: ratio, unit: 'x', aim: { atMost: 0.7 } },
    {
      name: 'their outputs differ, relative to the largest',
      value: difference,
      unit: '',
      aim: { atMost: 1e-5 },
    },
  ];
};

/** Four squares of the selfie, each smaller than the last, as the model reads them. */
async function cutViews(selfie: Buffer, input: ModelInput): Promise<Float32Array> {
  const { batch, images } = allocateBatch(input, VIEWS);
  for (const [i, image] of images.entries()) {
    const size = 500 - 80 * i;
    const pixels = await sharp(selfie)
      .extract({ left: 40 * i, top: 60 * i, width: size, height: size })
      .resize(input.width, input.height)
      .raw()
      .toBuffer();
    for (const [channel, plane] of planesOf(image).entries()) {
      for (let at = 0; at < plane.values.length; at++) plane.values[at] = pixels[3 * at + channel]!;
      normalize(plane);
    }
  }
  return batch;
}

async function timeRun(session: ModelSession, batch: Float32Array): Promise<number> {
  const started = performance.now();
  await session.run(batch);
  return performance.now() - started;
}

async function logitsOf(session: ModelSession, batch: Float32Array, output: string) {
  return (await session.run(batch))[output]!;
}

function largestDifference(values: Float32Array, others: Float32Array): number {
  const differences = values.map((value, i) => Math.abs(value - others[i]!));
  return Math.max(...differences) / Math.max(...others.map(Math.abs));
}
