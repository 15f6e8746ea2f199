import { type TransferListItem, Worker } from 'node:worker_threads';
import type { Picture } from '../inference/picture.js';
import type { AssessedPicture } from '../inference/pipeline.js';
import type { LoadedModels } from '../models/load-models.js';
import '../models/open-session.js';
import type { ExecutionProvider } from '../models/execution-providers.js';

/** The thread died during a request. The caller may retry with the next engine. */
export class EngineCrash extends Error {
  override name = 'EngineCrash';
}

/** One thread with its own loaded models. It processes one request at a time; later ones wait. */
export interface Engine {
  /** Transfers the pixels to the thread: their buffers are empty afterwards. */
  assess(pictures: Picture[]): Promise<AssessedRun>;
  /** Runs the models once on empty tensors for a batch of this size, to measure them. */
  runEmpty(images: number): Promise<void>;
  /**
   * Runs the models once with every tensor size of batches up to this size. Rejects when a model's
   * output differs from the catalogue.
   */
  warmUp(images: number): Promise<void>;
  /** Runs all stages once on a picture of its own: the first run takes longest. */
  runPractice(): Promise<void>;
  close(): Promise<void>;
}

export type OpenEngine = (spec: EngineSpec) => Promise<Engine>;

/**
 * Starts a thread and opens the models in it. Rejects with the reason when a model cannot be
 * opened. Every request to a thread that died later rejects with an `EngineCrash`.
 */
export const openEngine: OpenEngine = async (spec) => {
  const file = new URL('./engine-thread.js', import.meta.url);
  const thread = new Worker(file, { workerData: spec, name: 'engine' });
  const replies = createReplies(thread);
  // A thread that cannot open its models dies; the caller needs the reason, not the crash.
  await replies.next().catch(({ cause }: EngineCrash) => Promise.reject(cause as Error));

  return {
    async assess(pictures) {
      const buffers = pictures.map(({ pixels }) => pixels.buffer as ArrayBuffer);
      return (await ask({ kind: 'assess', pictures }, buffers)) as AssessedRun;
    },
    async runEmpty(images) {
      await ask({ kind: 'runEmpty', images });
    },
    async warmUp(images) {
      await ask({ kind: 'warmUp', images });
    },
    async runPractice() {
      await ask({ kind: 'runPractice' });
    },
    async close() {
      await ask({ kind: 'close' });
      await thread.terminate();
    },
  };

  async function ask(request: EngineRequest, transfer?: TransferListItem[]): Promise<EngineReply> {
    const next = replies.next();
    thread.postMessage(request, transfer);
    const reply = await next;
    if (reply.kind === 'failed') throw reply.error;
    return reply;
  }
};

/** Matches the thread's replies with its requests, which it answers in order. */
function createReplies(thread: Worker) {
  const awaited: { resolve(reply: EngineReply): void; reject(error: Error): void }[] = [];
  let failure: unknown;
  let crash: EngineCrash | undefined;

  thread.on('message', (reply: EngineReply) => awaited.shift()?.resolve(reply));
  thread.once('error', (error) => (failure = error));
  thread.once('exit', (code) => {
    const cause = failure ?? new Error(`exit code ${code}`);
    crash = new EngineCrash('the engine thread died', { cause });
    for (const { reject } of awaited) reject(crash);
  });

  return {
    next: () =>
      new Promise<EngineReply>((resolve, reject) => {
        if (crash) reject(crash);
        else awaited.push({ resolve, reject });
      }),
  };
}

/** The `workerData` of an engine's thread. */
export interface EngineSpec {
  models: Omit<LoadedModels, 'facts'>;
  executionProvider: ExecutionProvider;
  /** Index of the accelerator, from 0; 0 on the CPU. */
  deviceId: number;
  /** ONNX Runtime's CPU threads within one run. */
  intraOpThreads: number;
  /** Most images in one batch; absent for a candidate layout, which runs batches of any size. */
  maxBatch?: number;
  /** Least score (0..1) at which a detection is a face. */
  faceScoreThreshold: number;
  /** A second face counts when its longer side is at least this share of the largest one's. */
  minFaceRatio: number;
}

/** Requests are answered one after another, in order of arrival. */
export type EngineRequest =
  | { kind: 'assess'; pictures: Picture[] }
  | { kind: 'runEmpty'; images: number }
  | { kind: 'warmUp'; images: number }
  | { kind: 'runPractice' }
  | { kind: 'close' };

export interface AssessedRun {
  /** In the order of the images; an `Error` for an image that fails when it runs alone. */
  answers: (AssessedPicture | Error)[];
  /** The error of the batch, if it failed and its images were assessed one by one. */
  broken?: Error;
  /** Duration of the run in the engine, without the wait before it. */
  runMs: number;
  /** Of the models alone; absent from engines without models. */
  modelTime?: ModelTime;
}

/** How long the models ran, and how long they take when nothing else needs their cores. */
export interface ModelTime {
  tookMs: number;
  expectedMs: number;
}

/** A thread also sends `done` once its models are open. */
export type EngineReply =
  { kind: 'done' } | { kind: 'failed'; error: Error } | ({ kind: 'assessed' } & AssessedRun);
