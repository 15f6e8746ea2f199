import { Worker, type TransferListItem } from 'node:worker_threads';
// Here, not only in the thread: what a thread changes in its environment is a copy of its own.
import '../onnx/disable-telemetry.js';
import type { Picture } from '../stages/picture.js';
import type { AssessedRun, EngineReply, EngineRequest, EngineSpec } from './messages.js';

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
