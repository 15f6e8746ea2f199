import { type Assessment, isStoreFailure, LivegateError, readRefusal } from '@livegate/core/domain';
import type { Log } from '@livegate/core/telemetry';
import {
  createFakeDemands,
  exampleQuality,
  exampleWorker,
  noLargeImages,
  noShadow,
} from '@livegate/testing';
import type * as fc from 'fast-check';
import { createCheckImage } from '../../apps/worker/src/jobs/check-image.js';
import { CheckPostponed } from '../../apps/worker/src/jobs/requeue.js';
import { finishCheck } from '../../apps/worker/src/jobs/finish-check.js';
import { startHeartbeat } from '../../apps/worker/src/jobs/registration/heartbeat.js';
import { endCheck, runCheck } from '../../apps/worker/src/jobs/take-jobs.js';
import type { AssessedImage } from '../../apps/worker/src/inference/pipeline.js';
import { createBatcher, type RunBatch } from '../../apps/worker/src/scheduling/batcher.js';
import { createProcess, type Network, openConnection } from './network.js';
import type { Store, Taken } from './store.js';

/** Image 98 is refused; image `n` is scored `n` hundredths. */
export const REFUSED_IMAGE = 98;
const RUN_MS = 40;
const REQUEUE_MS = 200;
/** The time to live of a registration, which the fake does not have. */
const REGISTRATION_MS = 6000;
const RULES = { maxBatch: 2, maxRuns: 1, lingerMs: 2, capacity: 4 };

export type SimulatedBatch = RunBatch<number, number>;

/** The engine: every image of a batch is scored, or refused by itself. */
export const runBatch: SimulatedBatch = async (images) => {
  await new Promise((resolve) => setTimeout(resolve, RUN_MS));
  return images.map((image) =>
    image === REFUSED_IMAGE ? new LivegateError('invalid_image') : image,
  );
};

export interface WorkerParts {
  store: Store;
  run: SimulatedBatch;
  /** Before a check ends. */
  announce: Store['webhookQueue']['announce'];
}

export interface WorkerDeps extends WorkerParts {
  network: Network;
  scheduler: fc.Scheduler;
  log: Log;
}

/** A worker without ONNX and without Redis: its own code between the two. */
export function startWorker(name: string, deps: WorkerDeps) {
  const { network, scheduler, store, run, log } = deps;
  const process = createProcess(name);
  const connection = openConnection();
  const link = <Port extends object>(port: Port) => network.link(port, { process, connection });
  const imageStore = link(store.imageStore);
  const cancellations = link({
    find: store.queue.find,
    cancel: store.queue.cancel,
    forget: store.queue.forget,
  });
  const { announce } = link({ announce: deps.announce });
  const afterEnd = link({ announce: store.webhookQueue.announce });
  const replies = link(store.replies.outbox);
  const batcher = createBatcher(run, RULES);
  const checkImage = createCheckImage({
    imageStore,
    cancellations,
    demands: link(
      createFakeDemands({
        find: store.queue.find,
        hasEndpoints: store.hasEndpoints,
        stateOf: store.gateways.stateOf,
      }),
    ),
    scheduler: {
      large: noLargeImages,
      concurrency: RULES.capacity,
      shadow: noShadow,
      async assess([image = 0], { beforeAlone } = {}) {
        await beforeAlone?.();
        return describe(await batcher.submit(image));
      },
    },
    audit: { record: async () => undefined },
  });
  const facts = { ...exampleWorker, id: name };
  const heartbeat = startHeartbeat(store.registry, () => facts, log);
  const expire = () => void store.registry.unregister(name);
  void process.died.then(heartbeat.close).then(() => setTimeout(expire, REGISTRATION_MS));
  let active = 0;
  store.onJob(() => void wake());
  void wake();

  return { process, close: heartbeat.close };

  async function wake(): Promise<void> {
    await scheduler.schedule(Promise.resolve(), `${name}: take`);
    while (active < RULES.capacity && !process.isDead()) {
      const taken = store.take(process);
      if (!taken) return;
      active += 1;
      void work(taken).finally(() => {
        active -= 1;
        void wake();
      });
    }
  }

  /** What BullMQ and `takeJobs` do with a job. */
  async function work(taken: Taken): Promise<void> {
    const { job } = taken;
    const { complete, fail, delay } = link({
      complete: taken.complete,
      fail: taken.fail,
      delay: taken.delay,
    });
    const linked = { ...job, ...link({ updateProgress: job.updateProgress, remove: job.remove }) };
    try {
      const attempt = await runCheck(linked, { checkImage, announce }, log).then(
        (result) => ({ result }),
        (error: Error) => ({ error }),
      );
      if ('error' in attempt) {
        const { error } = attempt;
        const isRequeued = isStoreFailure(error) || error instanceof CheckPostponed;
        if (isRequeued) return await delay(REQUEUE_MS);
        if (!(await fail(error))) return;
      } else await complete(attempt.result);
      const outcome = 'error' in attempt ? readRefusal(attempt.error.message) : attempt;
      const finishDeps = { replies, imageStore, ...afterEnd, log };
      await endCheck(linked, outcome, {
        finish: (ended) => finishCheck(ended, finishDeps),
        forget: cancellations.forget,
      });
    } catch {
      // Redis failed, so the lock of the job expires.
      setTimeout(taken.expire, EXPIRE_MS);
    }
  }
}

const EXPIRE_MS = 10_000;

export type SimulatedWorker = ReturnType<typeof startWorker>;

function describe(image: number): AssessedImage {
  const assessment: Assessment = {
    kind: 'scored',
    spoofProbability: image / 100,
    logit: 0,
    views: [],
    rotation: 0,
    quality: exampleQuality,
  };
  const timings = { decodeMs: 1, detectMs: 1, classifyMs: 1 };
  return { assessment, modelSet: exampleWorker, timings };
}
