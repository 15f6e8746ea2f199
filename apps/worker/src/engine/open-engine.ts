import { type TransferListItem, Worker } from 'node:worker_threads';
import type { Picture } from '../inference/picture.js';
import type { AssessedPicture } from '../inference/pipeline.js';
import type { LoadedModels } from '../models/load-models.js';
import '../models/open-session.js';
import type { ExecutionProvider } from '../models/open-session.js';

/** The thread died during a request. Whoever made it may make it again, of the next engine. */
export class EngineCrash extends Error {
  override name = 'EngineCrash';
}

/** One thread with its own open models. It does one thing at a time; what else is asked of it waits. */
export interface Engine {
  /** Takes the pixels: their buffers are transferred, and empty afterwards. */
  assess(pictures: Picture[]): Promise<AssessedRun>;
  /** The models' part of a run of so many images, on empty tensors: to measure it. */
  rehearse(images: number): Promise<void>;
  /**
   * Every size of tensor that runs of up to so many images can have, once. Rejects when a model gives
   * something else than its manifest says.
   */
  warmUp(images: number): Promise<void>;
  close(): Promise<void>;
}

export type OpenEngine = (spec: EngineSpec) => Promise<Engine>;

/**
 * Starts a thread and opens the models in it. Rejects with the reason when a model cannot be opened.
 * From then on, whatever is asked of a dead thread rejects with an `EngineCrash`.
 */
export const openEngine: OpenEngine = async (spec) => {
  const file = new URL('./engine-thread.js', import.meta.url);
  const thread = new Worker(file, { workerData: spec, name: 'engine' });
  const replies = createReplies(thread);
  // A thread that cannot open its models dies of that.
  await replies.next().catch(({ cause }: EngineCrash) => Promise.reject(cause as Error));

  return {
    async assess(pictures) {
      const buffers = pictures.map(({ pixels }) => pixels.buffer as ArrayBuffer);
      return (await ask({ kind: 'assess', pictures }, buffers)) as AssessedRun;
    },
    async rehearse(images) {
      await ask({ kind: 'rehearse', images });
    },
    async warmUp(images) {
      await ask({ kind: 'warmUp', images });
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

/** The thread's replies, in the order of what was asked: each has somebody who awaits it. */
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
