import type { LoadedModels } from '../load-models.js';
import type { ExecutionProvider } from '../onnx/execution-providers.js';
import type { Picture } from '../stages/picture.js';
import type { AssessedPicture } from './assess-pictures.js';

/** All that an engine thread is started with. */
export interface EngineSpec {
  models: Pick<LoadedModels, 'detector' | 'classifiers'>;
  executionProvider: ExecutionProvider;
  /** Which accelerator, from 0; the CPU has but one. */
  deviceId: number;
  /** CPU threads inside one model run. */
  intraOpThreads: number;
  /** Detections the model is less sure of are no faces, 0..1. */
  faceScoreThreshold: number;
  /** A second face counts when its longer side is at least this share of the largest one's. */
  minFaceRatio: number;
}

/** Answered one after the other, in the order of their coming. */
export type EngineRequest =
  | { kind: 'assess'; pictures: Picture[] }
  | { kind: 'rehearse'; images: number }
  | { kind: 'warmUp'; images: number }
  | { kind: 'close' };

export interface AssessedRun {
  /** In the order of the images; an `Error` for those that fail even alone. */
  answers: (AssessedPicture | Error)[];
  /** Given when the run failed and its images were assessed one by one: why. */
  broken?: Error;
  /** How long the engine was at it, without what the run waited for. */
  runMs: number;
}

/** `done` is also the first word of a thread whose models are open. */
export type EngineReply =
  { kind: 'done' } | { kind: 'failed'; error: Error } | ({ kind: 'assessed' } & AssessedRun);
