// The thread of one engine: opens the models and runs `assessPictures` on each batch.
import { parentPort, workerData } from 'node:worker_threads';
import { allocateBatch, reuseBatch } from '../inference/picture.js';
import { assessPictures, type Stages } from '../inference/pipeline.js';
import type { ModelInput } from '../models/model-manifest.js';
import { type ModelSession, openSession } from '../models/open-session.js';
import type { EngineReply, EngineRequest, EngineSpec } from './open-engine.js';
import { isolateFailures, proveModels } from './stage-runs.js';

const port = parentPort!;
const stages = await openStages(workerData as EngineSpec);
let last = Promise.resolve();
port.on('message', (request: EngineRequest) => {
  // One after another: all runs use the same input tensors.
  last = last
    .then(() => answer(request))
    .catch((error: unknown): EngineReply => ({ kind: 'failed', error: error as Error }))
    .then((reply) => port.postMessage(reply));
});
port.postMessage({ kind: 'done' } satisfies EngineReply);

async function openStages(spec: EngineSpec): Promise<Stages> {
  const { models, faceScoreThreshold, minFaceRatio, ...options } = spec;
  const session = await openSession(models.detector, options);
  const classifiers = await Promise.all(
    models.classifiers.map(async (model) => ({
      model,
      session: await openSession(model, options),
      takeBatch: reuseBatch(model.input),
    })),
  );
  return {
    detector: {
      model: models.detector,
      session,
      takeBatch: reuseBatch(models.detector.input),
      scoreThreshold: faceScoreThreshold,
    },
    classifiers,
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
 * Runs every tensor size once, the largest first: TensorRT builds an engine for the range of sizes
 * that it has seen. Throws when a model differs from its manifest.
 */
async function warmUp(images: number): Promise<void> {
  for (let count = images; count > 0; count--) await runEmpty(stages.detector, count);
  for (const classifier of stages.classifiers) {
    const mostViews = images * classifier.model.views.length;
    for (let count = mostViews; count > 0; count--) await runEmpty(classifier, count);
  }
  await proveModels(stages, images);
}

async function runEmpty(
  { model, session }: { model: { input: ModelInput }; session: ModelSession },
  count: number,
): Promise<void> {
  await session.run(allocateBatch(model.input, count).batch);
}

async function close(): Promise<void> {
  const sessions = [stages.detector, ...stages.classifiers].map(({ session }) => session);
  await Promise.all(sessions.map((session) => session.close()));
}
