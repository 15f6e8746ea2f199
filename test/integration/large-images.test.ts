import type { CheckJob } from '@livegate/core/domain';
import {
  createRedisCancellations,
  createRedisCheckQueue,
  createRedisImageStore,
} from '@livegate/core/redis';
import {
  createFakeDemands,
  exampleJob,
  exampleQuality,
  exampleWorker,
  noShadow,
} from '@livegate/testing';
import { connectWorker, openSandbox, silentLog } from '@livegate/testing/redis/sandbox';
import { expect, onTestFinished, test } from 'vitest';
import { createCheckImage } from '../../apps/worker/src/jobs/check-image.js';
import { takeJobs } from '../../apps/worker/src/jobs/take-jobs.js';

const eventually = { timeout: 20_000, interval: 10 };

/** A worker on a real queue, which decodes one large image at a time, until the test ends the decode. */
async function setUp() {
  const sandbox = await openSandbox();
  onTestFinished(sandbox.close);
  const { redis, keys } = sandbox;
  const queue = createRedisCheckQueue({ ...sandbox, resultTtlSeconds: 60 });
  onTestFinished(() => queue.close());
  const imageStore = createRedisImageStore({ redis, keys, ttlSeconds: 60 });
  const decoding: (() => void)[] = [];
  const started: string[] = [];
  const cancellations = createRedisCancellations({ ...sandbox, resultTtlSeconds: 60 });
  const checkImage = createCheckImage({
    imageStore,
    cancellations,
    demands: createFakeDemands(cancellations),
    audit: { record: async () => undefined },
    scheduler: {
      concurrency: 4,
      large: { megabytesOf: () => 300, maxMegabytes: 500 },
      shadow: noShadow,
      async assess(_image, { checkId = '' } = {}) {
        started.push(checkId);
        await new Promise<void>((resolve) => decoding.push(resolve));
        return {
          assessment: {
            kind: 'scored',
            spoofProbability: 0.1,
            logit: 0,
            views: [],
            rotation: 0,
            quality: exampleQuality,
          },
          modelSet: exampleWorker,
          timings: { decodeMs: 1, detectMs: 1, classifyMs: 1 },
        };
      },
    },
  });
  const workerRedis = connectWorker();
  const jobs = takeJobs(
    {
      redis: workerRedis,
      keys,
      concurrency: 4,
      jobVersions: [exampleJob.version],
      imageTtlSeconds: 60,
      resultTtlSeconds: 60,
      log: silentLog,
    },
    {
      checkImage,
      announce: async () => undefined,
      finish: async () => 'kept',
      forget: async () => undefined,
    },
  );
  onTestFinished(async () => {
    const end = setInterval(() => decoding.shift()?.(), 1);
    await jobs.close();
    clearInterval(end);
    workerRedis.disconnect();
  });
  return {
    started,
    endDecode: () => decoding.shift()!(),
    async add(id: string, job: Partial<CheckJob>) {
      await imageStore.put(id, Uint8Array.of(1));
      await queue.add(id, { ...exampleJob, work: 1000, ms: 500, ...job });
    },
    /** How many checks the worker has found no slot for. */
    requeued: () => queue.bullQueue.getDelayedCount(),
  };
}

test("one tenant's large image is decoded soon, however many another tenant has queued", async () => {
  const { started, endDecode, add, requeued } = await setUp();
  for (let n = 0; n < 12; n++) await add(`acme-${n}`, { tenant: 'acme' });
  // All others wait, and their ranks say nothing any more.
  await expect.poll(requeued, eventually).toBe(11);
  await add('globex', { tenant: 'globex' });
  await expect.poll(requeued, eventually).toBe(12);
  for (let n = 2; n <= 13; n++) {
    endDecode();
    await expect.poll(() => started.length, eventually).toBe(n);
  }
  // It is the next one, unless the delay of another one ends before it is awake.
  expect(started.indexOf('globex')).toBeLessThan(6);
});
