import { LivegateError } from '@livegate/core';
import type { Assessment, ModelFacts } from '@livegate/core';
import { isolateFailures, toLivegateError } from './isolate-failures.js';
import { loadModels } from './load-models.js';
import { openSession } from './onnx/open-session.js';
import type { OpenSession } from './onnx/open-session.js';
import { chooseFace } from './stages/choose-face.js';
import { MAX_PIXELS_AT_ONCE, splitByPixels } from './split-by-pixels.js';
import { allowOnlyJpegAndPng, decodeImage } from './stages/decode-image.js';
import { detectFaces } from './stages/detect-faces.js';
import type { FaceDetector } from './stages/detect-faces.js';
import { judgeFaces } from './stages/judge-faces.js';
import type { Picture } from './stages/picture.js';
import type { SpoofClassifier } from './stages/score-faces.js';

export interface PipelineConfig {
  /** A prepared folder: `manifest.json` and the files it names. */
  modelsDir: string;
  /** Largest accepted picture, width times height. */
  maxImagePixels: number;
  /** Detections the model is less sure of are no faces, 0..1. */
  faceScoreThreshold: number;
  /** A second face counts when its longer side is at least this share of the largest one's. */
  minFaceRatio: number;
  executionProvider: string;
  /** CPU threads inside one model run. */
  intraOpThreads: number;
}

export interface AssessedImage {
  assessment: Assessment;
  /** `detectMs` and `classifyMs` are those of all images in memory at once: each waited for them. */
  timings: { decodeMs: number; detectMs: number; classifyMs: number };
}

export interface Pipeline {
  models: ModelFacts[];
  executionProvider: string;
  /**
   * Assesses JPEG or PNG files as one batch; the answers are in the same order. An image that
   * cannot be assessed is answered with its LivegateError and never harms its neighbours.
   */
  assess(images: Uint8Array[]): Promise<(AssessedImage | LivegateError)[]>;
  close(): Promise<void>;
}

/** Throws an Error when a model is missing or changed, or the execution provider is not there. */
export async function createPipeline(
  config: PipelineConfig,
  open: OpenSession = openSession,
): Promise<Pipeline> {
  allowOnlyJpegAndPng();
  const { facts, ...models } = await loadModels(config.modelsDir);
  const detector: FaceDetector = {
    model: models.detector,
    session: await open(models.detector, config),
    scoreThreshold: config.faceScoreThreshold,
  };
  const classifiers = await Promise.all(
    models.classifiers.map(async (model) => ({ model, session: await open(model, config) })),
  );
  const stages: Stages = { ...config, detector, classifiers };
  return {
    models: facts,
    executionProvider: config.executionProvider,
    assess: (images) => assessImages(stages, images),
    close: async () => {
      await Promise.all([detector, ...classifiers].map(({ session }) => session.close()));
    },
  };
}

interface Stages extends PipelineConfig {
  detector: FaceDetector;
  classifiers: SpoofClassifier[];
}

interface DecodedImage {
  picture: Picture;
  decodeMs: number;
}

async function assessImages(
  stages: Stages,
  images: Uint8Array[],
): Promise<(AssessedImage | LivegateError)[]> {
  const limits = { maxImagePixels: stages.maxImagePixels, maxPixelsAtOnce: MAX_PIXELS_AT_ONCE };
  const outcomes: (AssessedImage | LivegateError)[] = [];
  for (const group of splitByPixels(images, limits)) {
    outcomes.push(...(await assessGroup(stages, group)));
  }
  return outcomes;
}

async function assessGroup(
  stages: Stages,
  images: Uint8Array[],
): Promise<(AssessedImage | LivegateError)[]> {
  const decoded = await Promise.all(images.map((bytes) => decode(bytes, stages.maxImagePixels)));
  const pictures = decoded.filter(
    (image): image is DecodedImage => !(image instanceof LivegateError),
  );
  const assessed = await isolateFailures(pictures, (batch) => assessPictures(stages, batch));
  return decoded.map((image) => (image instanceof LivegateError ? image : assessed.shift()!));
}

async function decode(
  bytes: Uint8Array,
  maxImagePixels: number,
): Promise<DecodedImage | LivegateError> {
  try {
    const decoding = await timed(() => decodeImage(bytes, maxImagePixels));
    return { picture: decoding.result, decodeMs: decoding.ms };
  } catch (error) {
    return toLivegateError(error);
  }
}

/** The straight line of a batch: detect, choose the face of each picture, score those chosen. */
async function assessPictures(stages: Stages, images: DecodedImage[]): Promise<AssessedImage[]> {
  const pictures = images.map((image) => image.picture);
  const detect = await timed(() => detectFaces(stages.detector, pictures));
  const choices = detect.result.map((faces) => chooseFace(faces, stages.minFaceRatio));
  const chosen = choices.flatMap((choice, i) =>
    choice.kind === 'one' ? [{ picture: pictures[i]!, face: choice.box }] : [],
  );
  const classify = await timed(() => judgeFaces(stages.classifiers, chosen));
  return choices.map((choice, i) => ({
    assessment:
      choice.kind === 'one'
        ? { kind: 'scored', spoofProbability: classify.result.shift()! }
        : choice,
    timings: { decodeMs: images[i]!.decodeMs, detectMs: detect.ms, classifyMs: classify.ms },
  }));
}

async function timed<Result>(work: () => Promise<Result>): Promise<{ result: Result; ms: number }> {
  const started = performance.now();
  const result = await work();
  return { result, ms: performance.now() - started };
}
