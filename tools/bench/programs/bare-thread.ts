// One thread of `runBare`: decoding and model runs only.
import { parentPort, workerData } from 'node:worker_threads';
import { allocateBatch } from '@livegate/worker/inference/picture';
import { loadModels } from '@livegate/worker/models/load-models';
import { openSession } from '@livegate/worker/models/open-session';
import sharp from 'sharp';
import type { BareWork } from '../bare.js';

const port = parentPort!;
const { modelsDir, image, batch, views, intraOpThreads, seconds } = workerData as BareWork;
const options = { executionProvider: 'cpu', deviceId: 0, intraOpThreads } as const;
const { detector, classifiers } = await loadModels(modelsDir);
const frames = allocateBatch(detector.input, batch).batch;
const detect = await openSession(detector, options);
const classify = await Promise.all(
  classifiers.map(async (model) => ({
    session: await openSession(model, options),
    crop: allocateBatch(model.input, 1).batch,
  })),
);

await runModels();
const started = performance.now();
let images = 0;
let decoded = decode();
while (performance.now() - started < 1000 * seconds) {
  await decoded;
  decoded = decode();
  await runModels();
  images += batch;
}
const perSecond = (1000 * images) / (performance.now() - started);
port.postMessage(perSecond);
await decoded;

async function decode(): Promise<void> {
  const once = () => sharp(image).raw().toBuffer();
  await Promise.all(Array.from({ length: batch }, once));
}

async function runModels(): Promise<void> {
  await detect.run(frames);
  // One view a run, as in an engine on a CPU.
  for (const { session, crop } of classify) {
    for (let view = 0; view < batch * views; view++) await session.run(crop);
  }
}
