import type { MessagePort } from 'node:worker_threads';
import { detectFaces } from '../inference/detect-faces.js';
import {
  fromRows,
  type PadRun,
  type Picture,
  reuseBatch,
  type TakeBatch,
} from '../inference/picture.js';
import { type AssessedPicture, assessPictures, type Stages } from '../inference/pipeline.js';
import { classifyFaces } from '../inference/score-faces.js';
import { type ModelSession, openSession, type SessionModel } from '../models/open-session.js';
import type { EngineReply, EngineRequest, EngineSpec, ModelTime } from './open-engine.js';

/** Opens the models in an engine's thread, then answers requests one after another. */
export async function serveEngine(port: MessagePort, spec: EngineSpec): Promise<void> {
  const clock = createModelClock();
  const stages = await openStages(spec, clock);
  const answer = createAnswer(stages, { spec, clock });
  let last = Promise.resolve();
  port.on('message', (request: EngineRequest) => {
    // One after another: all runs use the same input tensors.
    last = last
      .then(() => answer(request))
      .catch((error: unknown): EngineReply => ({ kind: 'failed', error: error as Error }))
      .then((reply) => port.postMessage(reply));
  });
  port.postMessage({ kind: 'done' } satisfies EngineReply);
}

async function openStages(spec: EngineSpec, clock: ModelClock): Promise<Stages> {
  const { models, faceScoreThreshold, minFaceRatio, ...options } = spec;
  const open = async (model: SessionModel) =>
    clock.watch(model.name, await openSession(model, options));
  const session = await open(models.detector);
  const classifiers = await Promise.all(
    models.classifiers.map(async (model) => ({
      model,
      session: await open(model),
      takeBatch: reuseBatch(model.input, padRunFor(spec, model.views.length)),
      // One view fits in a CPU's cache; an accelerator is not busy with one.
      viewsPerRun: options.executionProvider === 'cpu' ? 1 : undefined,
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

function createAnswer(stages: Stages, { spec, clock }: { spec: EngineSpec; clock: ModelClock }) {
  return async (request: EngineRequest): Promise<EngineReply> => {
    if (request.kind === 'assess') {
      const started = performance.now();
      clock.start();
      const run = await isolateFailures(request.pictures, (some) => assessPictures(stages, some));
      const modelTime = clock.stop();
      return { kind: 'assessed', ...run, runMs: performance.now() - started, modelTime };
    }
    if (request.kind === 'close') await close(stages);
    else if (request.kind === 'warmUp') await warmUp(stages, spec, request.images);
    else if (request.kind === 'runPractice') await runPractice(stages);
    else await runEmpty(stages, request.images);
    return { kind: 'done' };
  };
}

/** Times the models, against their fastest run outside assessments: warm-up and practice runs. */
export interface ModelClock {
  watch(name: string, session: ModelSession): ModelSession;
  start(): void;
  /** The time of the models since `start`. */
  stop(): ModelTime;
}

/** A run takes as long as its tensor is large. */
export function createModelClock(now = () => performance.now()): ModelClock {
  const fastest = new Map<string, number>();
  let time: ModelTime | undefined;
  return {
    watch: (name, session) => ({
      ...session,
      async run(batch, count) {
        const started = now();
        const outputs = await session.run(batch, count);
        add(name, now() - started, batch.length);
        return outputs;
      },
    }),
    start: () => (time = { tookMs: 0, expectedMs: 0 }),
    stop() {
      const stopped = time!;
      time = undefined;
      return stopped;
    },
  };

  function add(name: string, tookMs: number, size: number): void {
    const best = fastest.get(name) ?? Infinity;
    if (!time) return void fastest.set(name, Math.min(best, tookMs / size));
    time.tookMs += tookMs;
    time.expectedMs += Math.min(best * size, tookMs);
  }
}

async function runEmpty(stages: Stages, images: number): Promise<void> {
  await runEmptyTensor(stages.detector, images);
  for (const classifier of stages.classifiers) {
    const views = images * classifier.model.views.length;
    const { viewsPerRun = views } = classifier;
    for (let ran = 0; ran < views; ran += viewsPerRun)
      await runEmptyTensor(classifier, viewsPerRun);
  }
}

/**
 * Runs every tensor size once, the largest first. Throws when a model differs from the catalogue.
 */
async function warmUp(stages: Stages, spec: EngineSpec, images: number): Promise<void> {
  const { detector, classifiers } = stages;
  for (const count of listRunSizes(images, padRunFor(spec, 1)))
    await runEmptyTensor(detector, count);
  for (const classifier of classifiers) {
    const { length: views } = classifier.model.views;
    const most = classifier.viewsPerRun ?? images * views;
    const sizes = listRunSizes(most, padRunFor(spec, views));
    for (const count of sizes) await runEmptyTensor(classifier, count);
  }
  await proveModels(stages, images);
}

async function runEmptyTensor(
  { session, takeBatch }: { session: ModelSession; takeBatch: TakeBatch },
  count: number,
): Promise<void> {
  await session.run(takeBatch(count).batch);
}

async function close(stages: Stages): Promise<void> {
  const sessions = [stages.detector, ...stages.classifiers].map(({ session }) => session);
  await Promise.all(sessions.map((session) => session.close()));
}

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
/** As large as a selfie, with views beyond its edge. */
const PRACTICE = { side: 640, face: { left: 200, top: 40, right: 480, bottom: 400 } };

/**
 * Runs detection and classification once on this number of black pictures. Throws an Error that
 * names the first model whose output differs from the catalogue.
 */
export async function proveModels(stages: Stages, images: number): Promise<void> {
  const faces = Array.from({ length: images }, () => ({
    picture: blackSquare(PROOF.side),
    face: PROOF.face,
  }));
  await detectFaces(
    stages.detector,
    faces.map(({ picture }) => picture),
  );
  await classifyFaces(stages, faces);
}

/** Runs all stages of this thread. The face is given, since no detector finds one in a black square. */
export async function runPractice(stages: Stages): Promise<AssessedPicture[]> {
  const { side, face } = PRACTICE;
  const picture = blackSquare(side);
  // A bright corner: like nearly all pictures, this one has no surround.
  picture.pixels.fill(255, 0, 3);
  return await assessPictures(stages, [picture], async (detector, pictures) => {
    await detectFaces(detector, pictures);
    return pictures.map((each) => ({
      picture: each,
      rotation: 0,
      faces: [{ score: 1, box: face }],
    }));
  });
}

function blackSquare(side: number): Picture {
  return fromRows({ pixels: new Uint8Array(3 * side * side), width: side, height: side });
}
