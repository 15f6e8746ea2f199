import {
  type Assessment,
  type CheckOutcome,
  LivegateError,
  readRefusal,
} from '@livegate/core/domain';
import type { Cancellations, ReplyOutbox } from '@livegate/core/ports';
import type { Log } from '@livegate/core/telemetry';
import {
  createFakeDemands,
  exampleWorker,
  exampleQuality,
  noLargeImages,
  noShadow,
} from '@livegate/testing';
import { pino } from 'pino';
import { createAwaitCheck } from '../../apps/api/src/checks/await-check.js';
import { createCancelAndDelete } from '../../apps/api/src/checks/end-check.js';
import { createClaimKey } from '../../apps/api/src/checks/claim-key.js';
import { createSubmitCheck } from '../../apps/api/src/checks/submit-check.js';
import { createCheckImage } from '../../apps/worker/src/jobs/check-image.js';
import { finishCheck } from '../../apps/worker/src/jobs/finish-check.js';
import { endCheck, runCheck } from '../../apps/worker/src/jobs/take-jobs.js';
import type { AssessedImage } from '../../apps/worker/src/inference/pipeline.js';
import type { ImageScheduler } from '../../apps/worker/src/scheduling/schedule-images.js';
import type { Store, Taken } from './store.js';

/** How the engine ends a run. */
export type RunEnd = 'verdict' | 'refusal' | 'fault';
/** What the worker does after the queue has stored the outcome. */
export type WorkerEnd = 'finishes' | 'loses its reply' | 'dies';

/** An attempt whose image is in an engine. */
export interface Run {
  id: string;
  /** Settles when the engine has ended the run. */
  attempt: Promise<unknown>;
  end(how: RunEnd): void;
  die(): Promise<void>;
  conclude(conclusion: Conclusion): Promise<Concluded>;
}

export interface Conclusion {
  worker: WorkerEnd;
  /** Runs when the outcome is decided, but not stored in the queue. */
  beforeEnd?: () => Promise<void>;
  /** Runs when the queue has stored the outcome, before the reply is sent. */
  beforeFinish?: () => Promise<void>;
}

export type Concluded = { outcome: CheckOutcome } | 'retried';

const log: Log = pino({ level: 'silent' });
const nothing = async () => undefined;
const webhooks = { announce: nothing, delete: nothing };
/** The replies are lost on their way; the worker does not notice. */
const loseReplies = ({ find }: Cancellations): ReplyOutbox => ({
  send: async ({ id }) => ({ cancellation: (await find([id])).get(id), hasEndpoints: false }),
});

/** Two gateways and a worker on one store: the product's own code, run step by step. */
export function createWorld(store: Store) {
  const { queue, imageStore, idempotencyKeys } = store;
  const endings = createCancelAndDelete({ queue, imageStore, idempotencyKeys, webhooks });
  const gateways = ['first', 'second'].map((name) => {
    const replies = store.createInbox(name);
    const awaitCheck = createAwaitCheck({ queue, replies });
    const claimKey = createClaimKey({ queue, idempotencyKeys });
    const submitCheck = createSubmitCheck({
      imageStore,
      queue,
      replies,
      idempotencyKeys,
      claimKey,
      awaitCheck,
      cancelCheck: endings.cancelCheck,
      hasEndpoints: async () => false,
    });
    return { awaitCheck, submitCheck, close: replies.close };
  });

  return {
    store,
    gateways,
    /** The `takeRank` of a submission. */
    takeRankOf: (tenant: string, isAwaited: boolean) => async () => ({
      rank: await queue.takeRank({ tenant, isAwaited, weight: 1, ms: 20 }),
    }),
    ...endings,
    /** Takes the next job. `isHeld`: its image is in the engine, until `end` is called. */
    async take(): Promise<{ run: Run; isHeld: boolean } | undefined> {
      const taken = await store.takeNext();
      if (!taken) return undefined;
      const engine = createHeldEngine();
      const run = startRun(taken, engine);
      await store.settle();
      return { run, isHeld: engine.isHeld() };
    },
    /** Takes the next job and runs it to its end. False without a job. */
    async work(how: RunEnd): Promise<boolean> {
      const taken = await store.takeNext();
      if (!taken) return false;
      const engine = createHeldEngine(how);
      const run = startRun(taken, engine);
      await run.conclude({ worker: 'finishes' });
      return true;
    },
    async close() {
      await Promise.all(gateways.map(({ close }) => close()));
    },
  };

  function startRun(taken: Taken, { scheduler, end }: HeldEngine): Run {
    const { job } = taken;
    const checkImage = createCheckImage({
      imageStore,
      cancellations: queue,
      demands: createFakeDemands(queue),
      scheduler,
      audit: { record: async () => undefined },
    });
    const attempt = runCheck(job, { checkImage, announce: nothing }, log).then(
      (result) => ({ result }),
      (error: Error) => ({ error }),
    );

    return {
      id: job.id!,
      attempt,
      end,
      die: taken.stall,
      async conclude({ worker, beforeEnd, beforeFinish }) {
        const ended = await attempt;
        await beforeEnd?.();
        if ('result' in ended) await taken.complete(ended.result);
        else if (!(await taken.fail(ended.error))) return 'retried';
        await beforeFinish?.();
        const outcome = 'result' in ended ? ended : readRefusal(ended.error.message);
        const replies = worker === 'finishes' ? store.outbox : loseReplies(queue);
        const finishDeps = { replies, imageStore, announce: nothing, log };
        if (worker !== 'dies') {
          await endCheck(job, outcome, {
            finish: (check) => finishCheck(check, finishDeps),
            forget: queue.forget,
          });
        }
        return { outcome };
      },
    };
  }
}

export type World = ReturnType<typeof createWorld>;

type HeldEngine = ReturnType<typeof createHeldEngine>;

/**
 * P(spoof) is the image's only byte in hundredths. A run ends at `end`, or at once with `atOnce`.
 */
function createHeldEngine(atOnce?: RunEnd) {
  let held: ((how: RunEnd) => void) | undefined;
  const timings = { decodeMs: 1, detectMs: 1, classifyMs: 1 };

  const assess: ImageScheduler['assess'] = async ([byte = 0], { beforeAlone } = {}) => {
    await beforeAlone?.();
    return new Promise<AssessedImage>((resolve, reject) => {
      held = (how) => {
        const assessment: Assessment = {
          kind: 'scored',
          spoofProbability: byte / 100,
          logit: 0,
          views: [],
          rotation: 0,
          quality: exampleQuality,
        };
        if (how === 'verdict') resolve({ assessment, modelSet: exampleWorker, timings });
        else if (how === 'refusal') reject(new LivegateError('invalid_image'));
        else reject(new Error('a fault of ours'));
      };
      if (atOnce) held(atOnce);
    });
  };

  return {
    scheduler: {
      large: noLargeImages,
      concurrency: 1,
      assess,
      shadow: noShadow,
    },
    isHeld: () => held !== undefined,
    end: (how: RunEnd) => held?.(how),
  };
}
