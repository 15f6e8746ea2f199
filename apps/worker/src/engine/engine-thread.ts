// The thread of one engine: opens the models and runs `assessPictures` on each batch.
import { parentPort, workerData } from 'node:worker_threads';
import { reuseBatch, type TakeBatch } from '../inference/picture.js';
import { assessPictures, type Stages } from '../inference/pipeline.js';
import { type ModelSession, openSession } from '../models/open-session.js';
import type { EngineReply, EngineRequest, EngineSpec } from './open-engine.js';
import { isolateFailures, listRunSizes, padRunFor, practise, proveModels } from './stage-runs.js';

const port = parentPort!;
const spec = workerData as EngineSpec;
const stages = await openStages();
let last = Promise.resolve();
port.on('message', (request: EngineRequest) => {
  // One after another: all runs use the same input tensors.
  last = last
    .then(() => answer(request))
    .catch((error: unknown): EngineReply => ({ kind: 'failed', error: error as Error }))
    .then((reply) => port.postMessage(reply));
});
port.postMessage({ kind: 'done' } satisfies EngineReply);

async function openStages(): Promise<Stages> {
  const { models, faceScoreThreshold, minFaceRatio, ...options } = spec;
  const session = await openSession(models.detector, options);
  const classifiers = await Promise.all(
    models.classifiers.map(async (model) => ({
      model,
      session: await openSession(model, options),
      takeBatch: reuseBatch(model.input, padRunFor(spec, model.views.length)),
    })),
  );
  return {
    detector: {
      model: models.detector,
      session,
      takeBatch: reuseBatch(models.detector.input, padRunFor(spec, 1)),
      scoreThreshold: faceScoreThreshold,
    },
    classifiers,
    calibration: models.calibration,
    minFaceRatio,
  };
}

async function answer(request: EngineRequest): Promise<EngineReply> {
  if (request.kind === 'assess') {
    const started = performance.now();
    const run = await isolateFailures(request.pictures, (some) => assessPictures(stages, some));
    return { kind: 'assessed', ...run, runMs: performance.now() - started };
  }
  if (request.kind === 'close') await close();
  else if (request.kind === 'warmUp') await warmUp(request.images);
  else if (request.kind === 'practise') await practise(stages);
  else await rehearse(request.images);
  return { kind: 'done' };
}

async function rehearse(images: number): Promise<void> {
  await runEmpty(stages.detector, images);
  for (const classifier of stages.classifiers) {
    await runEmpty(classifier, images * classifier.model.views.length);
  }
}

/**
 * Runs every tensor size once, the largest first. Throws when a model differs from the catalogue.
 */
async function warmUp(images: number): Promise<void> {
  const { detector, classifiers } = stages;
  for (const count of listRunSizes(images, padRunFor(spec, 1))) await runEmpty(detector, count);
  for (const classifier of classifiers) {
    const { length: views } = classifier.model.views;
    const sizes = listRunSizes(images * views, padRunFor(spec, views));
    for (const count of sizes) await runEmpty(classifier, count);
  }
  await proveModels(stages, images);
}

async function runEmpty(
  { session, takeBatch }: { session: ModelSession; takeBatch: TakeBatch },
  count: number,
): Promise<void> {
  await session.run(takeBatch(count).batch);
}

async function close(): Promise<void> {
  const sessions = [stages.detector, ...stages.classifiers].map(({ session }) => session);
  await Promise.all(sessions.map((session) => session.close()));
}
